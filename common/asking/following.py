"""Whether a query is the one that its analysis asks, told the totals that led to it: what a hospital checks.

A coordinator that cheats could otherwise ask for any sum under an analysis's name, or tell coefficients at which one
patient stands out. It may still tell false totals, and so choose among the queries that some totals lead to.
"""

from __future__ import annotations

import json
from collections.abc import Generator, MutableMapping
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from common.asking.analysis import IMPOSSIBLE, Analysis, Public, Query, Told
from common.asking.answer import Answer
from common.asking.exact_sums import Total
from common.asking.noise import SumNoise
from common.asking.shared_noise import Telling, telling
from common.errors import AnalysisError, RefusedError, WireError
from common.wire.questions import NOT_UNDERSTOOD, AskedQuery, read_total

MOST_UNDER_WAY = 32
NEAR = 1e-4
"""By how much numbers that are told may differ: processors round the last bits of a long computation differently."""


@dataclass
class _UnderWay:
    """A conversation, and the query that it waits for the totals of."""

    conversation: Generator[Query, Total, Answer]
    query: Query
    told: Telling

    def go_on(self, numbers: tuple[int, ...]) -> None:
        self.query = self.conversation.send(self.told(self.query, read_total(self.query.parts, numbers)))


_under_way: dict[bytes, _UnderWay] = {}
"""By all that they depend on: in one process hospitals share them, and none is begun again for every query."""


def follow(
    asked: AskedQuery,
    analysis: Analysis,
    public: Public,
    memory: MutableMapping[str, bytes],
    noise: SumNoise | None = None,
) -> Query:
    """Remember the totals told so far, and raise RefusedError unless they lead to this very query.

    memory: of this run of this study, from message to message. noise: in the totals. What is told and what one row
    changes are as the analysis says here, and never as they came: an edge that is shifted by as little as rounding is
    forgiven moves whoever is just on it, and noise is made for what one row changes.
    """
    key = f"question/{sha256(asked.question.json.encode()).hexdigest()}"
    told = _with_latest(asked, json.loads(memory.get(key, b"[]")))
    try:
        wanted = _query_after(analysis, public, told, noise)
    except (WireError, AnalysisError, StopIteration, *IMPOSSIBLE) as error:
        raise RefusedError(NOT_UNDERSTOOD, f"query {asked.number} does not follow: {error}") from error
    if not alike(wanted, asked.query):
        raise RefusedError(NOT_UNDERSTOOD, f"query {asked.number} is not the one that the analysis asks.")
    memory[key] = json.dumps(told).encode()
    return wanted


def alike(one: Query, other: Query) -> bool:
    """Whether two queries ask for the same sums, and tell the same but for rounding."""
    asked, came = (
        {name: (part.kind, part.shape, part.most_by_one) for name, part in query.parts.items()}
        for query in (one, other)
    )
    if (one.step, asked, one.tells.keys()) != (other.step, came, other.tells.keys()):
        return False
    return all(_near(told, other.tells[name]) for name, told in one.tells.items())


def _with_latest(asked: AskedQuery, told: list[list[str]]) -> list[list[str]]:
    """Totals of all queries before this one, the newest as it came. Raises RefusedError where some were left out."""
    if asked.before is None:
        return []
    if len(told) < asked.number - 2:
        raise RefusedError(NOT_UNDERSTOOD, f"query {asked.number} came after {len(told) + 1} of its question.")
    return [*told[: asked.number - 2], [f"{number:x}" for number in asked.before]]


def _query_after(analysis: Analysis, public: Public, told: list[list[str]], noise: SumNoise | None) -> Query:
    """What the analysis asks once it was told these totals; taken up where it was left, or from its beginning."""
    keys = _keys(analysis, public, told, noise)
    if keys[-1] in _under_way:
        return _under_way[keys[-1]].query
    known = _under_way.pop(keys[-2], None) if told else None
    if known is None:
        conversation = analysis.ask(public)
        known = _UnderWay(conversation, next(conversation), telling(noise, len(public.sites)))
        late = told
    else:
        late = told[-1:]
    for numbers in late:
        known.go_on(tuple(int(number, 16) for number in numbers))
    _under_way[keys[-1]] = known
    while len(_under_way) > MOST_UNDER_WAY:
        del _under_way[next(iter(_under_way))]
    return known.query


def _keys(analysis: Analysis, public: Public, told: list[list[str]], noise: SumNoise | None) -> list[bytes]:
    """Of the conversation before the first total, and after each."""
    keys = [sha256(repr((type(analysis), analysis, public, noise)).encode()).digest()]
    for numbers in told:
        keys.append(sha256(keys[-1] + " ".join(numbers).encode()).digest())
    return keys


def _near(one: Told, other: Told) -> bool:
    if isinstance(one, tuple) or isinstance(other, tuple):
        return isinstance(one, tuple) and isinstance(other, tuple) and one == other
    first, second = np.asarray(one, np.float64), np.asarray(other, np.float64)
    return first.shape == second.shape and bool(np.allclose(first, second, rtol=NEAR, atol=NEAR))
