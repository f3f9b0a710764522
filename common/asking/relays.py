"""Conversations made of others: with more told in every query, or several side by side in the same rounds."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from common.asking.analysis import Query, Told
from common.asking.exact_sums import Integers, Total

T = TypeVar("T")
Conversation = Generator[Query, Total, T]
DOT = "."
STEPS = "steps"


def telling(asked: Conversation[T], tells: Mapping[str, Told]) -> Conversation[T]:
    """The same conversation; every query tells this as well."""
    try:
        query = next(asked)
        while True:
            query = asked.send((yield replace(query, tells={**query.tells, **tells})))
    except StopIteration as end:
        found: T = end.value
        return found


def side_by_side(several: Mapping[str, Conversation[T]], step: str) -> Conversation[dict[str, T]]:
    """All of them, in as many rounds as the longest takes. step: of every query. What each found, by its name.

    Names hold no dot. A hospital takes a query apart with `queries_in`, and puts its parts together with `parts_for`.
    """
    found: dict[str, T] = {}
    asking: dict[str, Query] = {}
    for name, asked in several.items():
        _go_on(name, asked, None, asking, found)
    while asking:
        total = yield together(asking, step)
        for name, query in list(asking.items()):
            del asking[name]
            _go_on(name, several[name], part_of(total, name, query), asking, found)
    return {name: found[name] for name in several}


def together(queries: Mapping[str, Query], step: str) -> Query:
    """One query of several, each under its name and a dot."""
    parts = {f"{name}{DOT}{part}": one for name, query in queries.items() for part, one in query.parts.items()}
    tells = {f"{name}{DOT}{told}": one for name, query in queries.items() for told, one in query.tells.items()}
    return Query(parts, {**tells, STEPS: tuple(f"{name}{DOT}{query.step}" for name, query in queries.items())}, step)


def queries_in(query: Query) -> dict[str, Query]:
    """What `together` joined."""
    steps = dict(str(one).split(DOT, 1) for one in query.tells[STEPS])
    return {name: Query(_under(name, query.parts), _under(name, {**query.tells}), own) for name, own in steps.items()}


def parts_for(
    several: Mapping[str, Mapping[str, NDArray[np.integer] | Integers]],
) -> dict[str, NDArray[np.integer] | Integers]:
    """A hospital's parts of a query of several."""
    return {f"{name}{DOT}{part}": values for name, parts in several.items() for part, values in parts.items()}


def part_of(total: Total, name: str, query: Query) -> Total:
    """What one of several is sent."""
    return Total(query.parts, {part: total.integers[f"{name}{DOT}{part}"] for part in query.parts})


def _under(name: str, values: Mapping[str, T]) -> dict[str, T]:
    prefix = f"{name}{DOT}"
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}


def _go_on(
    name: str, asked: Conversation[T], total: Total | None, asking: dict[str, Query], found: dict[str, T]
) -> None:
    try:
        asking[name] = next(asked) if total is None else asked.send(total)
    except StopIteration as end:
        found[name] = end.value
