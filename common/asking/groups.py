"""Groups of patients by the levels of a column, which somebody named beforehand; never learned from patients."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.asking.abilities import SITE
from common.asking.analysis import Public
from common.asking.records import Records
from common.errors import StudyError
from common.study.spelling import nearest

EQUALS, EITHER = "=", "|"
NEAR = 0.7
"""How alike a column must be to one whose levels are known: it may well exist, without any."""


def levels_of(column: str, named: tuple[str, ...], public: Public) -> tuple[str, ...]:
    """What the column may hold, in order. named: an option such as ("sex=female|male",), before what is public.

    Raises StudyError where nobody said.
    """
    own = dict(parsed(text) for text in named)
    if column in own:
        return own[column]
    if column == SITE and column not in public.levels:
        return public.sites
    if column not in public.levels:
        known = ", ".join(sorted({*public.levels, SITE}))
        near = nearest(column, {*public.levels, SITE}, NEAR)
        guess = f" Did you mean {near!r}?" if near else f" Of {known} they are known."
        example = f"levels = [{f'{column}=first|second'!r}]"
        typed = f"--option 'levels={column}=first|second'"
        raise StudyError(
            f"nobody named the levels of column {column!r}: name them, such as {example}, or {typed} on a command "
            f"line.{guess}"
        )
    return tuple(public.levels[column])


def two_of(column: str, named: tuple[str, ...], public: Public) -> tuple[str, str]:
    """As `levels_of`, where two are compared."""
    levels = levels_of(column, named, public)
    if len(levels) != 2:
        example = f"levels = [{EQUALS.join((column, EITHER.join((*levels, 'first', 'second')[:2])))!r}]"
        raise StudyError(
            f"column {column!r} has {len(levels)} levels ({', '.join(levels)}), and two are compared: choose by "
            f"{example}."
        )
    return levels[0], levels[1]


def parsed(text: str) -> tuple[str, tuple[str, ...]]:
    """`sex=female|male`. Raises StudyError for anything else."""
    column, equals, words = text.partition(EQUALS)
    levels = tuple(word.strip() for word in words.split(EITHER))
    if not (column.strip() and equals and all(levels) and len(set(levels)) == len(levels)):
        raise StudyError(f"levels are written as sex=female|male, all of them different; not {text!r}.")
    return column.strip(), levels


def codes(records: Records, column: str, levels: tuple[str, ...]) -> NDArray[np.int64]:
    """(N,) the place of each row's level; -1 where nothing was written down, or what nobody named."""
    if column == SITE and SITE not in records.columns:
        words = np.full(len(records), records.site)
    else:
        words = records.words(column)
    found = np.full(len(records), -1, dtype=np.int64)
    for place, level in enumerate(levels):
        found[words == level] = place
    return found
