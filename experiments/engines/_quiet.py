"""Run a study without a display, for benchmarks and tests: one process, a folder, and what came out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client.hospital import close_all, site_names
from common.asking.question import Question
from common.files.access import kept_private
from common.files.json_files import read_lines, read_table
from common.study.options import Entry
from common.study.study import Study
from experiments.catalogue import ENGINES
from experiments.engines._fork_server import forget_pool
from server.app import app as server_app
from server.asking.conduct import ANSWERS
from server.asking.words import write_questions

CLIENT_APP = "client.app:app"


@dataclass(frozen=True)
class Outcome:
    """What a run left: its rounds, its final scores, and `about.json`."""

    rounds: Sequence[dict[str, Any]]
    final: dict[str, Any]
    about: dict[str, Any]
    baselines: dict[str, Any]


def run_quietly(
    study: Study, folder: Path, name: str = "study", resume: bool = False, accepts: bool = False
) -> Outcome:
    """Run `study` on its engine into `folder`. accepts: go on where a hospital's data changed.

    Raises WardroundError where the run cannot be completed.
    """
    if resume:
        close_all()
        forget_pool()
    _on_engine(study, folder, name, {"resume": resume, "accept-changed-data": accepts})
    return read_outcome(folder)


def ask_quietly(study: Study, folder: Path, questions: Sequence[Question], name: str = "study") -> dict[str, Any]:
    """Ask the study's hospitals on its engine, into `folder`; `answer.json`.

    Raises WardroundError where no question could be asked.
    """
    _on_engine(study, folder, name, {"questions": write_questions(questions)})
    return read_table(folder, ANSWERS, required=True)


def _on_engine(study: Study, folder: Path, name: str, more: Mapping[str, str | int | bool]) -> None:
    sites = site_names(study)
    config: dict[str, str | int | bool] = {
        "study": study.text,
        "study-name": name,
        "run-folder": str(folder),
        "hospitals": len(sites),
        "sites": json.dumps(sites),
        "resume": False,
        "accept-changed-data": False,
        **more,
    }
    if study.engine not in ("deployment", "nodes"):
        config["simulated"] = True
    with kept_private():
        ENGINES.build(Entry(study.engine)).run(
            server_app=server_app,
            client_app=CLIENT_APP,
            sites=sites,
            run_config=config,
            folder=folder,
            record_traffic=study.federation.record_traffic,
        )


def read_outcome(folder: Path) -> Outcome:
    """The outcome a run left in `folder`."""
    tables = (read_table(folder, name) for name in ("final.json", "about.json", "baselines.json"))
    return Outcome(read_lines(folder, "rounds.jsonl"), *tables)
