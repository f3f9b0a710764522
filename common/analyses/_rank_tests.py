"""What tests by ranks have in common: how many rows every group has, and how often every value occurs in it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from common.analyses._distinct_values import STEP, Ranked, ranked, value_counts
from common.asking.analysis import Query
from common.asking.exact_sums import counts
from common.asking.groups import codes
from common.asking.records import Records
from common.asking.relays import Conversation, telling
from common.errors import AnalysisError

EXACT = (
    "How often every value occurs in each group: exact ranks are the whole distribution of the column; with `edges`, "
    "how many rows of each group lie between them."
)
NO_NOISE = "its rounds close in on single values, and its p does not count noise; a histogram by group takes noise."
LEVELS = "levels"


def group_counts(
    column: str, by: str, levels: tuple[str, ...], edges: tuple[float, ...]
) -> Conversation[tuple[Ranked, int]]:
    """Values by the levels of `by`, and how many rows are left out. A hospital answers with `group_part`.

    Raises AnalysisError where a level has no row.
    """
    return telling(_group_counts(column, by, levels, edges), {LEVELS: levels})


def _group_counts(
    column: str, by: str, levels: tuple[str, ...], edges: tuple[float, ...]
) -> Conversation[tuple[Ranked, int]]:
    total = yield Query({"n": counts(len(levels)), "left_out": counts()})
    n = tuple(int(one) for one in total.count("n"))
    demand_rows(column, by, levels, n)
    found = yield from ranked(n, edges)
    return found, int(total.count("left_out"))


def demand_rows(column: str, by: str, levels: tuple[str, ...], n: tuple[int, ...], least: int = 1) -> None:
    """Raise AnalysisError where a group is smaller than `least`."""
    for level, count in zip(levels, n, strict=True):
        if count < least:
            raise AnalysisError(
                f"{column!r} is known of {count} rows in which {by!r} is {level!r}; at least {least} must be there."
            )


def group_part(records: Records, column: str, by: str, query: Query) -> Mapping[str, NDArray[np.integer]]:
    """A hospital's part of any round."""
    values = records.numbers(column)
    group = codes(records, by, tuple(str(one) for one in query.tells[LEVELS]))
    if query.step == STEP:
        return value_counts(values, group, query)
    used = ~np.isnan(values) & (group >= 0)
    return {
        "n": np.bincount(group[used], minlength=query.parts["n"].size),
        "left_out": np.array(len(values) - int(used.sum())),
    }
