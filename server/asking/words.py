"""Questions and answers as JSON: in a run's configuration, in its folder, and for whoever reads them by a program."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from common.asking.answer import Answer, Figure, Series, Table
from common.asking.question import Question
from common.errors import StudyError
from common.study.options import Entry, build, convert
from common.wire.questions import query_table, total_table
from server.asking.sums import OpenedQuery

SCHEMA = "wardround/answers/1"


def write_questions(questions: Iterable[Question]) -> str:
    """In one line, for a run's configuration."""
    return json.dumps([{"name": one.entry.name, **one.entry.options} for one in questions])


def read_questions(text: str) -> tuple[Question, ...]:
    """What `write_questions` wrote. Raises StudyError."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise StudyError("the run's questions are not JSON.") from error
    if not isinstance(found, list) or not found:
        raise StudyError("the run's questions are a list.")
    return tuple(Question.of(convert(one, Entry, "question")) for one in found)


def question_table(question: Question) -> dict[str, Any]:
    """As answer.json names a question."""
    return {**json.loads(question.json), "title": question.title, "words": question.words}


def answer_table(answer: Answer) -> dict[str, Any]:
    """Raises ValueError for a number that is not finite: an analysis says None where nothing is known."""
    return {
        "numbers": plain(answer.numbers),
        "tables": [_shown(asdict(table)) for table in answer.tables],
        "figures": [
            {**_shown(asdict(figure)), "series": [_shown(asdict(one)) for one in figure.series]}
            for figure in answer.figures
        ],
        "words": list(answer.words),
    }


def _shown(table: Mapping[str, Any]) -> dict[str, Any]:
    """Without what only decides what is held back."""
    return {name: plain(value) for name, value in table.items() if name != "persons"}


def read_answer(table: Mapping[str, Any]) -> Answer:
    """What `answer_table` made. Raises StudyError where it is none."""
    return Answer(
        dict(table["numbers"]),
        tuple(_table(one) for one in table["tables"]),
        tuple(_figure(one) for one in table["figures"]),
        tuple(map(str, table["words"])),
    )


def opened_table(opened: OpenedQuery) -> dict[str, Any]:
    """One line of queries.jsonl: what was asked, and the total that was opened, in hexadecimal."""
    return {
        "query": opened.number,
        "round": opened.round,
        **query_table(opened.query),
        "total": total_table(opened.total),
        "contributed": list(opened.sites),
        "dropped": [asdict(drop) for drop in opened.dropped],
        "attempts": opened.attempts,
        "seconds": opened.seconds,
        "bytes": {"sent": opened.bytes_sent, "received": opened.bytes_received},
    }


def plain(value: Any) -> Any:
    """As JSON has it: numbers of NumPy, tuples and tables of them too."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("an answer holds a number that is not finite.")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"an answer holds {type(value).__name__}, which JSON does not have.")


def _table(value: Mapping[str, Any]) -> Table:
    rows = tuple(tuple(row) for row in value["rows"])
    return Table(str(value["title"]), tuple(map(str, value["header"])), rows, str(value.get("note", "")))


def _figure(value: Mapping[str, Any]) -> Figure:
    series = tuple(
        build(Series, {key: _points(one) for key, one in held.items()}, "figure") for held in value["series"]
    )
    return Figure(value["kind"], str(value["title"]), str(value["x_label"]), str(value["y_label"]), series)


def _points(value: Any) -> Any:
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
