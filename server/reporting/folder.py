"""Reads a run folder. Every file may be missing or broken: the report then says so and shows the rest."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import FileError, WardroundError
from common.files.access import if_there, is_there, read_text
from common.files.json_files import lines_of
from server.privacy_recount import counted
from server.problems import FILE, Problem
from server.reporting.details import details_of
from server.reporting.embedding import embedding_of
from server.reporting.kept_here import read_kept
from server.reporting.parsing import (
    about_of,
    baselines_of,
    final_of,
    pictures_of,
    privacy_of,
    problem_of,
    roster_of,
    round_of,
    traffic_of,
)
from server.reporting.patients import cells_of, patients_of
from server.reporting.records import Round, Run
from server.reporting.values import number, table, texts

UNWATCHED = (
    "about.json does not say which scores tell a collapse, though rounds.jsonl has verdicts on one: it was changed, "
    "and whether the network still tells cases apart is not shown here."
)
EXPECTED = ("about.json", "study.toml", "rounds.jsonl")


def read_run(folder: Path) -> Run:
    """The run in `folder`. Raises WardroundError where it is no run folder."""
    if not any(is_there(folder, name) for name in EXPECTED):
        raise WardroundError(f"{folder} is no run folder: it holds none of {', '.join(EXPECTED)}.")
    reader = _Reader(folder)
    study = reader.text("study.toml")
    baselines, final = reader.json("baselines.json"), reader.json("final.json")
    about = about_of(reader.json("about.json"), reader.planned_rounds(study))
    return Run(
        name=folder.name,
        about=about,
        roster=roster_of(reader.json("roster.json")),
        rounds=reader.rounds(bool(about.watched)),
        final=final_of(final),
        traffic=traffic_of(reader.json("traffic.json")),
        baselines=None if baselines is None else baselines_of(baselines),
        pictures=pictures_of(reader.json("pictures.json")),
        embedding=embedding_of(reader.json("embedding.json")) if about.is_played else None,
        privacy=privacy_of(counted(reader.json("privacy.json"), folder)),
        study_text=study,
        planned=texts(table(table(reader.json("plan.json")).get("plan")).get("reasons")),
        problems=(*about.changes, *reader.problems),
        lost=(*(Problem("start", words) for words in about.absent), *reader.lost()),
        kept=read_kept(folder),
        details=details_of(final),
        patients=patients_of(reader.json("patients.json")),
        subgroups={split: cells_of(table(one).get("subgroups")) for split, one in table(final).items()},
    )


class _Reader:
    """Reads the files of one folder and collects what is wrong with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []

    def text(self, name: str) -> str:
        try:
            return if_there(read_text, self.folder, name) or ""
        except FileError as error:
            self.problems.append(f"{name} could not be read: it {error.reason}.")
            return ""

    def json(self, name: str) -> Any:
        text = self.text(name)
        return self._parsed(text, name) if text else None

    def rounds(self, watched: bool) -> tuple[Round, ...]:
        """By number; where a round was run again after a resume, its last record. watched: as about.json says."""
        tables = self._tables("rounds.jsonl")
        if not watched and any("collapse" in one for one in tables):
            self.problems.append(UNWATCHED)
        found = {record.number: record for record in map(round_of, tables) if record is not None}
        return tuple(found[number] for number in sorted(found))

    def lost(self) -> tuple[Problem, ...]:
        """What was lost beside the rounds' replies, in the order it happened."""
        return tuple(problem_of(line) for line in self._tables(FILE) if line)

    def _tables(self, name: str) -> list[Mapping[str, Any]]:
        lines = [line for line in lines_of(self.text(name)) if line.strip()]
        return [table(self._parsed(line, f"{name}, line {k}")) for k, line in enumerate(lines, 1)]

    def planned_rounds(self, study: str) -> int | None:
        try:
            planned = number(tomllib.loads(study).get("rounds"))
        except (ValueError, RecursionError):
            self.problems.append("study.toml is not valid TOML.")
            return None
        return None if planned is None else int(planned)

    def _parsed(self, text: str, name: str) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            self.problems.append(f"{name} is not valid JSON; it is left out.")
            return None
