"""Questions to hospitals, asked from Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.asking.answer import Figure, Table
from common.errors import AnalysisError
from common.files.access import kept_private
from common.study.plugins import ANYTHING, trusting
from common.study.study import Study
from experiments.asking.asking import ask_study, questions_of
from experiments.asking.spoken import question_of
from server.app import new_default_folder
from server.asking.words import read_answer
from wardround.studies import chosen


@dataclass(frozen=True)
class Answered:
    """What hospitals answered.

    asked: in words. numbers: all that was found, by name. tables, figures, words: as the page shows them.
    contributed: whose sums it is of. missing: hospitals that are not in it, and why. folder: where all of it is kept.
    """

    asked: str
    numbers: Mapping[str, Any]
    tables: tuple[Table, ...]
    figures: tuple[Figure, ...]
    words: tuple[str, ...]
    contributed: tuple[str, ...]
    missing: Mapping[str, str]
    folder: Path

    @property
    def page(self) -> Path:
        """For people."""
        return self.folder / "answers.html"

    def __getitem__(self, name: str) -> Any:
        """One of `numbers`."""
        return self.numbers[name]


def ask(
    given: Study | str | Path,
    /,
    *words: str,
    by: str = "",
    where: str | Iterable[str] = (),
    epsilon: float = 0.0,
    delta: float = 0.0,
    engine: str | None = None,
    folder: str | Path | None = None,
    **options: Any,
) -> Answered:
    """Ask a study's hospitals, and return their answer.

        wardround.ask("heart", "mean", "age", by="sex", where=["chol > 200"])
        wardround.ask("heart", "histogram", "age", bins=20)

    Args:
        given: a TOML file, a shipped study's name, or a Study: whose hospitals.
        words: an analysis's name and what it is of, as after `wardround ask`.
        by: the column in whose groups it is answered.
        where: conditions that must all hold of a row.
        epsilon: of noise that hides every person in the answer; no noise if not given.
        delta: with it; geometric noise, which needs none, if not given.
        engine: in the place of the study's.
        folder: of the answers; `runs/<study>-asked/<time>` if not given.
        options: of the analysis.

    Raises:
        AnalysisError: the question has no answer; says why.
        WardroundError: it could not be asked.
    """
    settings = {} if engine is None else {"engine": engine}
    asked = chosen(given, settings)
    name = f"{asked.name}-asked"
    with kept_private(), trusting(ANYTHING):
        conditions = (where,) if isinstance(where, str) else tuple(where)
        question = question_of(words, by, conditions, options, epsilon, delta) if words else None
        questions = questions_of(asked.study) if question is None else (question,)
        if len(questions) > 1:
            raise AnalysisError("the study lists several questions: name one, or ask all with `wardround ask`.")
        place = new_default_folder(name) if folder is None else Path(folder)
        answered = ask_study(asked.study, name, place, questions)
    (entry,) = answered.table["answers"]
    if entry["state"] != "answered":
        raise AnalysisError(" ".join([str(entry["reason"]), *answered.said_by_hospitals]))
    answer = read_answer(entry)
    missing = {str(one["site"]): str(one["reason"]) for one in entry["missing"]}
    said = (answer.numbers, answer.tables, answer.figures, answer.words)
    return Answered(str(entry["question"]["words"]), *said, tuple(entry["contributed"]), missing, place)
