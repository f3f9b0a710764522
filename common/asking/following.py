"""Whether a query is the one that its analysis asks, told the totals that led to it: what a hospital checks.

A coordinator that cheats could otherwise ask for any sum under an analysis's name, or tell coefficients at which one
patient stands out. It may still tell false totals, and so choose among the queries that some totals lead to.
"""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from hashlib import sha256

import numpy as np

from common.asking.analysis import Analysis, Public, Query, Told
from common.errors import AnalysisError, RefusedError, WireError
from common.wire.questions import NOT_UNDERSTOOD, AskedQuery, read_total

NEAR = 1e-4
"""By how much numbers that are told may differ: processors round the last bits of a long computation differently."""


def follow(asked: AskedQuery, analysis: Analysis, public: Public, memory: MutableMapping[str, bytes]) -> None:
    """Remember the totals told so far, and raise RefusedError unless they lead to this very query.

    memory: of this run of this study, from message to message.
    """
    key = f"question/{sha256(asked.question.json.encode()).hexdigest()}"
    told = _with_latest(asked, json.loads(memory.get(key, b"[]")))
    try:
        wanted = _query_after(analysis, public, told)
    except (WireError, AnalysisError, StopIteration) as error:
        raise RefusedError(NOT_UNDERSTOOD, f"query {asked.number} does not follow: {error}") from error
    if not alike(wanted, asked.query):
        raise RefusedError(NOT_UNDERSTOOD, f"query {asked.number} is not the one that the analysis asks.")
    memory[key] = json.dumps(told).encode()


def alike(one: Query, other: Query) -> bool:
    """Whether two queries ask for the same sums, and tell the same but for rounding."""
    if (one.step, dict(one.parts), one.tells.keys()) != (other.step, dict(other.parts), other.tells.keys()):
        return False
    return all(_near(told, other.tells[name]) for name, told in one.tells.items())


def _with_latest(asked: AskedQuery, told: list[list[str]]) -> list[list[str]]:
    """Totals of all queries before this one, the newest as it came. Raises RefusedError where some were left out."""
    if asked.before is None:
        return []
    if len(told) < asked.number - 2:
        raise RefusedError(NOT_UNDERSTOOD, f"query {asked.number} came after {len(told) + 1} of its question.")
    return [*told[: asked.number - 2], [f"{number:x}" for number in asked.before]]


def _query_after(analysis: Analysis, public: Public, told: list[list[str]]) -> Query:
    conversation = analysis.ask(public)
    query = next(conversation)
    for numbers in told:
        query = conversation.send(read_total(query.parts, tuple(int(number, 16) for number in numbers)))
    return query


def _near(one: Told, other: Told) -> bool:
    if isinstance(one, tuple) or isinstance(other, tuple):
        return isinstance(one, tuple) and isinstance(other, tuple) and one == other
    first, second = np.asarray(one, np.float64), np.asarray(other, np.float64)
    return first.shape == second.shape and bool(np.allclose(first, second, rtol=NEAR, atol=NEAR))
