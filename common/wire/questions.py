"""A query to hospitals in one message: the question, what is to be added up, and the totals that led to it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from common.asking.analysis import Query, Told
from common.asking.exact_sums import Part, Total
from common.asking.question import BESIDE, Question
from common.asking.totals import flat, form_of, total_of
from common.errors import RefusedError, StudyError, WireError
from common.study.options import Entry
from common.sums.exchange import Payload
from common.sums.wide import QUERY, QUESTION
from common.wire.records import LARGEST_WORDS_CHARACTERS
from common.wire.train_requests import RUN

TOTAL = "total"
"""Word of a request: the totals of the query before, which led to this one; "" of a question's first."""
NUMBER = "query"
"""Number of a request: which query of its question it is, from 1."""
MOST_PARTS, MOST_TELLS, MOST_AXES, MOST_QUERIES = 4096, 4096, 8, 10_000
LONGEST_CONDITION, MOST_CONDITIONS = 1000, 64
NOISE = frozenset(("epsilon", "delta"))
NOT_UNDERSTOOD = "query"
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,200}")


@dataclass(frozen=True)
class AskedQuery:
    """Query `number` of a question, and the totals of the one before it; None of the first."""

    question: Question
    number: int
    query: Query
    before: tuple[int, ...] | None = None


def to_payload(asked: AskedQuery, study_json: str, run: str, round_number: int) -> Payload:
    """The message. Raises StudyError where it is too long, and ValueError where a number is not finite."""
    words = {
        QUESTION: asked.question.json,
        QUERY: json.dumps(query_table(asked.query), sort_keys=True, allow_nan=False),
        TOTAL: "" if asked.before is None else json.dumps([f"{number:x}" for number in asked.before]),
    }
    longest, length = LARGEST_WORDS_CHARACTERS - len(study_json) - 4096, sum(map(len, words.values()))
    if length > longest:
        raise StudyError(
            f"question {asked.question.words!r} takes {length} characters to ask; hospitals read {longest}: "
            f" ask for fewer numbers at once."
        )
    numbers = {"round": round_number, NUMBER: asked.number}
    return Payload(numbers=numbers, words={"study": study_json, RUN: run, **words})


def from_payload(payload: Payload) -> AskedQuery:
    """The query in a message. Raises RefusedError where it is none."""
    try:
        number = payload.numbers.get(NUMBER)
        if type(number) is not int or not 1 <= number <= MOST_QUERIES:
            raise WireError(f"a question has queries 1 to {MOST_QUERIES}.")
        before = _numbers(_json(payload, TOTAL)) if payload.words.get(TOTAL) else None
        if (before is None) != (number == 1):
            raise WireError("every query but a question's first comes with the totals that led to it.")
        return AskedQuery(
            _question(_json(payload, QUESTION)),
            number,
            read_query(_json(payload, QUERY)),
            before,
        )
    except (WireError, StudyError) as error:
        raise RefusedError(NOT_UNDERSTOOD, str(error)) from error


def query_table(query: Query) -> dict[str, Any]:
    """As JSON has it."""
    return {
        "step": query.step,
        "parts": {name: [part.kind, list(part.shape), part.most_by_one] for name, part in query.parts.items()},
        "tells": {name: _told(told) for name, told in query.tells.items()},
    }


def read_query(table: object) -> Query:
    """What `query_table` made. Raises WireError."""
    if not isinstance(table, dict) or set(table) != {"step", "parts", "tells"}:
        raise WireError("a query has a step, parts and tells.")
    step, parts, tells = table["step"], _named(table["parts"], MOST_PARTS), _named(table["tells"], MOST_TELLS)
    if not isinstance(step, str) or len(step) > 200:
        raise WireError("a query's step is a word.")
    query = Query(
        {name: _part(part) for name, part in parts.items()}, {n: _read_told(t) for n, t in tells.items()}, step
    )
    form_of(query.parts)
    return query


def total_table(total: Total) -> list[str]:
    """Its numbers in hexadecimal, in the order in which they are added up."""
    return [f"{number:x}" for number in flat(total.parts, total.integers)]


def read_total(parts: Mapping[str, Part], numbers: tuple[int, ...]) -> Total:
    """Raises WireError where they are not as many as the parts have."""
    if len(numbers) != form_of(parts).numbers:
        raise WireError("the totals of the query before are not as many as it asked for.")
    return total_of(parts, numbers)


def _question(table: object) -> Question:
    if not isinstance(table, dict) or set(table) - NOISE != {"name", "options", "where", "by"}:
        raise WireError("a question has a name, options, where and by.")
    name, options, where = table["name"], table["options"], table["where"]
    if not isinstance(name, str) or not isinstance(options, dict) or set(options) & set(BESIDE):
        raise WireError("a question names its analysis and its options.")
    if not isinstance(where, list) or len(where) > MOST_CONDITIONS:
        raise WireError(f"a question has {MOST_CONDITIONS} conditions at most.")
    if not all(isinstance(one, str) and len(one) <= LONGEST_CONDITION for one in where):
        raise WireError(f"a condition has {LONGEST_CONDITION} characters at most.")
    noise = {name: table[name] for name in NOISE & set(table)}
    return Question.of(Entry(name, {**options, "where": where, "by": table["by"], **noise}))


def _json(payload: Payload, word: str) -> object:
    text = payload.words.get(word)
    if not isinstance(text, str):
        raise WireError(f"a query's {word} is missing.")
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a query's {word} is not JSON.") from error


def _refuse_constant(word: str) -> None:
    raise ValueError(word)


def _named(table: object, most: int) -> dict[str, Any]:
    if not isinstance(table, dict) or len(table) > most or not all(map(_NAME.fullmatch, table)):
        raise WireError(f"a query has at most {most} parts and as many tells, each with a name that can be printed.")
    return table


def _part(value: object) -> Part:
    kind, shape, most = value if isinstance(value, list) and len(value) == 3 else (None, None, None)
    if kind not in ("counts", "reals"):
        raise WireError("a part is of counts or of reals.")
    if most is not None and not (type(most) in (int, float) and 0 <= most < float("inf")):
        raise WireError("what one row changes is 0 or more.")
    return Part(_shape(shape), kind, None if most is None else float(most))


def _shape(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > MOST_AXES:
        raise WireError(f"a shape has {MOST_AXES} axes at most.")
    if not all(type(one) is int and 0 <= one < 1 << 24 for one in value) or prod(value) >= 1 << 24:
        raise WireError("an axis of a shape is out of range.")
    return tuple(value)


def _told(told: Told) -> dict[str, Any]:
    if isinstance(told, tuple):
        return {"words": list(told)}
    array = np.asarray(told, dtype=np.float64)
    return {"shape": list(array.shape), "numbers": array.ravel().tolist()}


def _read_told(value: object) -> Told:
    if isinstance(value, dict) and set(value) == {"words"}:
        words = value["words"]
        if not isinstance(words, list) or not all(isinstance(one, str) for one in words):
            raise WireError("what is told in words is a list of words.")
        return tuple(words)
    if not isinstance(value, dict) or set(value) != {"shape", "numbers"} or not isinstance(value["numbers"], list):
        raise WireError("what a query tells is numbers with a shape, or words.")
    shape, numbers = _shape(value["shape"]), value["numbers"]
    if len(numbers) != prod(shape) or not all(type(one) in (int, float) for one in numbers):
        raise WireError("what a query tells does not fit its shape.")
    try:
        array = np.array(numbers, dtype=np.float64)
    except OverflowError as error:
        raise WireError("a number that a query tells is too large.") from error
    if not np.isfinite(array).all():
        raise WireError("a number that a query tells is not finite.")
    return array.reshape(shape)


def _numbers(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and len(one) <= 80 for one in value):
        raise WireError("totals are whole numbers.")
    try:
        return tuple(int(one, 16) for one in value)
    except ValueError as error:
        raise WireError("totals are whole numbers.") from error
