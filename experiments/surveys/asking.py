"""Interviews with the persons of a table: each answer is randomised, charged and kept before anything leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from client.sources._table_files import Rows, read_rows
from common.data.names import in_one_form
from common.errors import StudyError
from common.files.access import private_folder
from common.files.locks import held
from common.privacy.lazy_chances import RandomBytes
from common.surveys.audit import least_epsilon
from common.surveys.randomisers import Heard, Randomiser
from common.surveys.register import load, question_digest, save
from common.surveys.responses import Responses

LOCK = "survey.lock"


@dataclass(frozen=True)
class Interviewed:
    """responses: what may leave. missing, at_limit: persons without an answer, and without epsilon left.

    least_epsilon: that these answers prove, with the truth beside them. most_spent: epsilon, by one person, over all
    that was ever asked. All but responses is for the place's own eyes.
    """

    responses: Responses
    missing: int
    at_limit: int
    least_epsilon: float
    most_spent: float


def interview(
    table: Path,
    question: str,
    person: str,
    randomiser: Randomiser,
    folder: Path,
    random_bytes: RandomBytes,
    *,
    limit: float,
    fresh: bool = False,
) -> Interviewed:
    """Ask everybody in a table once; the register in `folder` has what they said. The first row of a person counts.

    Raises SourceError for a table that cannot be read, StudyError for an answer that is none; then nobody is asked.
    """
    question, person = in_one_form(question), in_one_form(person)
    truths = _truths(read_rows(table.parent, table.name, (question, person)), question, person)
    known = {name: answer for name, answer in truths.items() if answer}
    for answer in dict.fromkeys(known.values()):
        if answer not in randomiser.answers:
            raise StudyError(f"column {question!r} has an answer that is not among {', '.join(randomiser.answers)}.")
    private_folder(folder)
    with held(folder, LOCK, "another survey is being held with this register"):
        register, digest = load(folder, limit), question_digest(question, randomiser)
        heard: dict[str, Heard] = {}
        for name, answer in known.items():
            said = register.interview(name, digest, answer, randomiser, random_bytes, fresh)
            if said is not None:
                heard[name] = said
        save(register, folder)
    responses = Responses(
        question,
        randomiser,
        randomiser.counts(list(heard.values())),
        len(heard),
        len(truths) - len(heard),
    )
    proven = least_epsilon(randomiser, [known[name] for name in heard], list(heard.values()))
    return Interviewed(responses, len(truths) - len(known), len(known) - len(heard), proven, register.most_spent)


def _truths(rows: Rows, question: str, person: str) -> dict[str, str]:
    """By person; "" where it is missing."""
    at_person, at_answer = _places(rows, (person, question))
    found: dict[str, str] = {}
    for row in rows.rows:
        name, answer = (in_one_form(_text(row.cells[at])) for at in (at_person, at_answer))
        if name:
            found.setdefault(name, answer)
    return found


def _text(cell: object) -> str:
    """Numbers of Parquet as they would be written."""
    return f"{cell:.15g}" if isinstance(cell, float) else "" if cell is None else str(cell)


def _places(rows: Rows, columns: Sequence[str]) -> tuple[int, ...]:
    return tuple(rows.place(column) for column in columns)
