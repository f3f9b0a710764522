"""Questions to a study's hospitals on its engine: the folder they leave, and its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from client.hospital import site_names
from common.asking.question import Question, demand_encoder
from common.errors import StudyError, TooFewHospitalsError
from common.files.access import if_there, is_there, read_text
from common.files.locks import held
from common.study.study import Study
from experiments.engines._local_grid import hospital_folder
from experiments.engines._quiet import ask_quietly
from experiments.places import data_root_of, with_whole_folder
from server.asking.page import PAGE

LOCK = ".running"
REFUSALS, INCIDENTS = "refusals.log", "incidents.log"
REAL_NODES = ("deployment", "nodes")
"""Engines whose hospitals answer for what they approved: this machine's rehearsal approves what it is asked."""


@dataclass(frozen=True)
class Answered:
    """What questions left. table: of `answer.json`."""

    folder: Path
    table: dict[str, Any]
    is_simulated: bool = False

    @property
    def page(self) -> Path:
        """For people."""
        return self.folder / PAGE

    @property
    def said_by_hospitals(self) -> tuple[str, ...]:
        """Why simulated hospitals refused, in their own words; real ones keep these to themselves."""
        if not self.is_simulated or self.all_have_one:
            return ()
        return _last_words(self.folder, [str(one) for one in self.table["hospitals"]], REFUSALS)

    @property
    def all_have_one(self) -> bool:
        """Whether every question has an answer."""
        return all(one["state"] == "answered" for one in self.table["answers"])


def questions_of(study: Study) -> tuple[Question, ...]:
    """Those that the study lists. Raises StudyError where it lists none."""
    if not study.analyses:
        raise StudyError(
            "the study lists no questions ([[analyses]]): name one, such as: wardround ask STUDY mean age by site"
        )
    return tuple(Question.of(entry) for entry in study.analyses)


def ask_study(study: Study, name: str, folder: Path, questions: Sequence[Question]) -> Answered:
    """Ask, and write the page. Raises WardroundError where the hospitals could not be asked at all."""
    study = with_whole_folder(study)
    if study.engine in REAL_NODES or any(one.encoder == "start" for one in questions):
        demand_encoder(questions, study.start is not None)
        study = _listing(study, questions)
    with held(folder, LOCK, "is in use by another run; give each a folder of its own"):
        if is_there(folder, "about.json"):
            raise StudyError(f"{folder} already holds a run; questions need a folder of their own.")
        with data_root_of(folder, False):
            try:
                table = ask_quietly(study, folder, questions, name)
            except TooFewHospitalsError as error:
                why = () if study.engine in REAL_NODES else _last_words(folder, site_names(study), INCIDENTS)
                raise TooFewHospitalsError("\n".join((str(error), *why))) from error
    return Answered(folder, table, study.engine not in REAL_NODES)


def _last_words(folder: Path, sites: Sequence[str], log: str) -> tuple[str, ...]:
    """What stands last in a log of each, said once for all of whom it is the same."""
    found = {site: _last_error(if_there(read_text, hospital_folder(folder, site), log) or "") for site in sites}
    words = dict.fromkeys(word for word in found.values() if word)
    return tuple(f"{', '.join(site for site in sites if found[site] == word)}: {word}" for word in words)


def _last_error(text: str) -> str:
    """The text of an error alone, without when, word, kind and traceback."""
    errors = [line for line in text.splitlines() if "Error: " in line and not line.startswith(" ")]
    return errors[-1].partition("Error: ")[2] if errors else ""


def _listing(study: Study, questions: Sequence[Question]) -> Study:
    """With those among its [[analyses]] that are not there yet: its hospitals approve it as it is sent, and are given
    an encoder where a listed question reads it."""
    known = {Question.of(entry).json for entry in study.analyses}
    more = tuple(one.entry for one in questions if one.json not in known)
    return replace(study, analyses=(*study.analyses, *more))
