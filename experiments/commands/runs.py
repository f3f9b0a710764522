"""Commands that run a study, go on with it, and write its report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.errors import StudyError, TooFewHospitalsError, WardroundError
from common.files import access as files
from common.study.plugins import ANYTHING, trusting
from experiments.commands._device import Device, use
from experiments.commands._study_text import TrustCode, asked_study, code_of_folder, read_study, valid
from experiments.commands._terminal import console, say, spoken_errors

if TYPE_CHECKING:
    from common.study.study import Study


def run(
    study: Annotated[str, typer.Argument(help="A shipped study's name (see `wardround list`) or a TOML file.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a setting: --set training.epochs=2 --set strategy=fedadam. Repeatable."),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="inline, processes, simulation, deployment or nodes; short for --set engine=.")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="Run folder; runs/<study>/<time> if not given.")] = None,
    device: Device = None,
) -> None:
    """Run a study: one process a hospital, a live table, and a report at the end.

    Exits with 3 where the run came to its end and lost a hospital, a round's reply or a step on the way: its last
    lines, summary.json and the report say which and why. Cases that could not be used are said too, and exit with 0.
    """
    with spoken_errors(), trusting(ANYTHING):
        use(device)
        if folder is not None and folder.is_file():
            raise StudyError(f"{folder} is a file; a run needs a folder of its own.")
        overrides = [*(set_ or []), *([f"engine={engine}"] if engine else [])]
        with _starting_early(study, overrides):
            asked = asked_study(study, overrides)
        say(asked.remarks)

        from server.app import new_default_folder

        run_asked(asked.study, asked.name, folder or new_default_folder(asked.name), resume=False)


def resume(
    folder: Annotated[Path, typer.Argument(help="A run folder that stopped before its last round.")],
    trust_code: TrustCode = False,
    accept_changed_data: Annotated[
        bool,
        typer.Option(
            "--accept-changed-data",
            help="Go on though patients came or left: whoever trained stays in training, and the report says so.",
        ),
    ] = False,
    device: Device = None,
) -> None:
    """Go on with a run that stopped, from its last finished round."""
    with spoken_errors(), trusting(code_of_folder(trust_code)):
        from common.study.study import parse
        from experiments.places import with_modules_of

        use(device)
        if not files.is_there(folder, "study.toml"):
            raise StudyError(f"{folder} holds no study.toml: it is not a run folder.")
        if trust_code:
            with_modules_of(folder)
        study = parse(valid(files.read_text(folder, "study.toml"), folder / "study.toml"))
        run_asked(study, folder.resolve().parent.name, folder, resume=True, accepts=accept_changed_data)


def report(folder: Annotated[Path, typer.Argument(help="A run folder.")]) -> None:
    """Write a run's report.html again from its files."""
    with spoken_errors():
        from server.report import write_report

        if not files.is_there(folder, "about.json"):
            raise StudyError(f"{folder} holds no about.json: it is not a run folder.")
        say([str(write_report(folder).resolve())])


@contextmanager
def _starting_early(study: str, overrides: list[str]) -> Iterator[None]:
    """Let the process that hospitals are forked from import while this one does, where the study plainly wants it."""
    if "partition" in "".join([read_study(study)[0], *overrides]) or any("engine" in one for one in overrides):
        yield
        return
    from experiments.engines import _fork_server

    _fork_server.begin_early()
    try:
        yield
    except BaseException:
        _fork_server.end()
        raise


def run_asked(study: Study, name: str, folder: Path, resume: bool, accepts: bool = False) -> None:
    """Run a study under a live table, and say what came of it. Exits with 3 where something was lost."""
    from experiments.running.live_table import LiveTable
    from experiments.running.run import run_study
    from experiments.running.spoken_losses import last_lines, lost_lines
    from server.app import progress

    table, before = LiveTable(console, folder), _about(folder)
    try:
        with table:
            progress.subscribe(table)
            report_path = run_study(study, name, folder, resume, accepts)
    except WardroundError as error:
        if table.has_heard and isinstance(error, TooFewHospitalsError):
            raise TooFewHospitalsError(error.found) from None  # who is missing, and why, was said as it came
        if not table.has_heard and _about(folder) != before:  # it ran elsewhere
            say(lost_lines(folder))
        raise
    finally:
        progress.unsubscribe(table)
    lines, code = last_lines(folder)
    say(lines)
    say([f"Report: {report_path.resolve()}"])
    if code:
        raise typer.Exit(code)


def _about(folder: Path) -> str:
    return files.read_text(folder, "about.json") if files.is_there(folder, "about.json") else ""
