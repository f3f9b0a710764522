"""Flower's wiring of the coordinator."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from common.errors import StudyError, WardroundError
from common.files.access import new_folder
from common.files.locks import held
from common.study.plugins import Trust, trusting
from common.study.spelling import unknown
from common.study.study import Study, parse, parse_json
from server.asking.conduct import Asker
from server.asking.page import write_page
from server.asking.words import read_questions
from server.live_file import kept_live
from server.progress import Progress
from server.redelivery import Resending
from server.reply_reader import taking
from server.report import write_report
from server.run import Conductor
from server.run_folder import RunFolder
from server.run_lock import say_so

STUDIES = Path(__file__).parents[1] / "experiments" / "studies"

app = ServerApp()
LOCK = ".conducting"
progress = Progress()
"""Whoever wants to watch the runs of this process subscribes here."""


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the study of the run's configuration.

    Keys: study, study-name, run-folder, hospitals, sites, resume, accept-changed-data, signing-folder, simulated,
    nodes, whether the hospitals run nodes of ours, which may be asked the same again, and node-names.
    """
    with trusting(_trust(bool(context.run_config.get("simulated", False)))):
        _run(_resending(grid, context) if context.run_config.get("nodes", False) else grid, context)


def _resending(grid: Grid, context: Context) -> Grid:
    """With the names of those whose nodes are known: one that refuses does not say its own."""
    found = json.loads(str(context.run_config.get("node-names", "")) or "{}")
    return Resending(taking(grid), names={int(node): str(name) for node, name in found.items()})


def _trust(simulated: bool) -> Trust:
    """Whoever may start a run here brings the whole program; hospitals elsewhere could not find a file of ours."""
    remedy = "A deployed study names plug-ins by module, installed here and in its hospitals."
    models = Path(os.environ.get("WARDROUND_MODELS", "models"))
    return Trust(files=simulated, modules=None, remedy=remedy, models=models)


def _run(grid: Grid, context: Context) -> None:
    config = context.run_config
    study, name = read_study(str(config.get("study", "")))
    name = str(config.get("study-name", "")) or name
    folder = Path(str(config.get("run-folder", "")) or new_default_folder(name))
    if questions := str(config.get("questions", "")):
        _ask(study, name, grid, folder, context, questions)
        return
    conductor = Conductor(
        study,
        name,
        grid,
        RunFolder(folder),
        progress,
        int(config.get("hospitals", 0)),
        bool(config.get("resume", False)),
        bool(config.get("simulated", False)),
        tuple(json.loads(str(config.get("sites", "")) or "[]")),
        bool(config.get("accept-changed-data", False)),
        Path(signing) if (signing := str(config.get("signing-folder", ""))) else None,
    )
    with held(folder, LOCK, "is in use by another run; give each a folder of its own"):
        if config.get("nodes", False):
            say_so(folder, context.run_id)
        try:
            with kept_live(folder, progress):
                conductor.run()
        except BaseException as error:
            try:
                write_report(folder)
            except WardroundError as another:  # it must not stand in the place of what ended the run
                error.add_note(f"The report could not be written either: {another}")
            raise
        write_report(folder)


def _ask(study: Study, name: str, grid: Grid, folder: Path, context: Context, questions: str) -> None:
    """Questions in the place of training; their folder is no run to go on with."""
    config = context.run_config
    asker = Asker(
        study,
        name,
        grid,
        RunFolder(folder),
        progress,
        read_questions(questions),
        int(config.get("hospitals", 0)),
        tuple(json.loads(str(config.get("sites", "")) or "[]")),
        simulated=bool(config.get("simulated", False)),
    )
    with held(folder, LOCK, "is in use by another run; give each a folder of its own"):
        if config.get("nodes", False):
            say_so(folder, context.run_id)
        with kept_live(folder, progress):
            asker.run()
        write_page(folder)


def read_study(text: str) -> tuple[Study, str]:
    """A study from TOML or JSON text, or one of the shipped studies by name; and what to call it."""
    if text.lstrip().startswith("{"):
        return parse_json(text), "study"
    if "\n" in text or "=" in text:
        return parse(text), "study"
    shipped = {path.stem: path for path in STUDIES.glob("*.toml")}
    if text not in shipped:
        raise unknown("study", text, shipped)
    return parse(shipped[text].read_text(encoding="utf-8")), text


def new_default_folder(name: str) -> Path:
    """Make `runs/<study>/<time>` under the working directory, or under WARDROUND_RUNS; `<time>-2` where it is taken.

    Of runs that start in one second each gets a folder of its own.
    """
    if not name.replace("-", "").replace("_", "").isalnum():
        raise StudyError(f"a study's name becomes a folder: letters, digits, - and _ only; it is {name!r}.")
    root = Path(os.environ.get("WARDROUND_RUNS", "runs"))
    time = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    free = (one for one in chain([time], (f"{time}-{number}" for number in count(2))) if new_folder(root / name, one))
    return root / name / next(free)
