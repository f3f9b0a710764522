"""How often every value occurs in each of some groups, by rounds of counts: all that a test by ranks needs.

The range of doubles is parted again wherever more than one row lies, until rows that lie together are alike.
What was found is the pooled rows' order, ties included; the value of a row that is alone stays within a range.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from common.analyses._doubles import HIGHEST, LOWEST, bins_of, cuts_a_round, cuts_within, demand_finite, double_of
from common.asking.analysis import Query, Told
from common.asking.exact_sums import Total, counts
from common.errors import AnalysisError, StudyError

STEP = "distinct"
MOST_VALUES = 100_000
MOST_PARTED = 2500
"""In one round, so that a question to hospitals stays below a message's length."""
HIGHEST_VALUE = double_of(HIGHEST)


@dataclass(frozen=True)
class Ranked:
    """upper: (K,) ascending; each of K values lies above the one before, and not above its own. Where they are bins,
    their upper edges. counts: (K, groups) rows.
    """

    upper: NDArray[np.float64]
    counts: NDArray[np.int64]

    def sample(self, group: int) -> NDArray[np.float64]:
        """Numbers that stand in the same order as the group's values: tests by ranks say the same of them."""
        return np.asarray(np.repeat(np.arange(len(self.upper), dtype=np.float64), self.counts[:, group]))

    @property
    def midranks(self) -> NDArray[np.float64]:
        """(K,) the mean rank of rows that have the value, 1 that of the smallest."""
        each = self.counts.sum(axis=1)
        return np.asarray(np.cumsum(each) - (each - 1) / 2, dtype=np.float64)


def ranked(n: tuple[int, ...], edges: tuple[float, ...] = ()) -> Generator[Query, Total, Ranked]:
    """All values of groups of n rows, or how many lie between given edges. A hospital answers with `value_counts`.

    Raises AnalysisError where there are more than MOST_VALUES, or hospitals came or went in between.
    """
    found = yield from (_in_bins(len(n), edges) if edges else _apart(n))
    if tuple(found.counts.sum(axis=0).tolist()) != n:
        raise AnalysisError(f"there were {n} rows, and now there are others: a hospital came or went.")
    return found


def _in_bins(groups: int, edges: tuple[float, ...]) -> Generator[Query, Total, Ranked]:
    total = yield _query(groups, np.array(checked_edges(edges)))
    found = total.count("bins")
    held = np.flatnonzero(found.sum(axis=1))
    return Ranked(np.array([*edges, HIGHEST_VALUE])[held], found[held])


def _apart(n: tuple[int, ...]) -> Generator[Query, Total, Ranked]:
    done: dict[int, NDArray[np.int64]] = {}
    searched, budget, groups = [(LOWEST, HIGHEST)], cuts_a_round(sum(n)), len(n)
    while searched:
        searched, waiting = searched[:MOST_PARTED], searched[MOST_PARTED:]
        pieces = max(2, budget // len(searched))
        keys = sorted(set().union(*({*one, *cuts_within(*one, pieces)} for one in searched)) - {LOWEST, HIGHEST})
        total = yield _query(groups, np.array([double_of(key) for key in keys]))
        searched = _sorted_out(total.count("bins"), [LOWEST, *keys, HIGHEST], searched, done) + waiting
        if len(done) + len(searched) > MOST_VALUES:
            raise AnalysisError(f"there are more than {MOST_VALUES} different values: give edges of bins.")
    upper = sorted(done)
    found = np.array([done[key] for key in upper], dtype=np.int64).reshape(len(upper), groups)
    return Ranked(np.array([double_of(key) for key in upper]), found)


def value_counts(
    values: NDArray[np.float64], group: NDArray[np.int64], query: Query
) -> Mapping[str, NDArray[np.integer]]:
    """A hospital's part, of rows that have a value and a group."""
    demand_finite(values)
    cuts, size = np.asarray(query.tells["cuts"], dtype=np.float64), query.parts["bins"].shape
    used = ~np.isnan(values) & (group >= 0)
    found = np.zeros(size, dtype=np.int64)
    np.add.at(found, (bins_of(values[used], cuts), group[used]), 1)
    return {"bins": found}


def checked_edges(edges: tuple[float, ...]) -> tuple[float, ...]:
    """Raises StudyError unless they ascend."""
    if not (np.all(np.isfinite(edges)) and np.all(np.diff(edges) > 0)):
        raise StudyError(f"edges of bins must ascend; they are {', '.join(f'{one:g}' for one in edges)}.")
    return edges


def _query(groups: int, cuts: NDArray[np.float64]) -> Query:
    tells: dict[str, Told] = {"cuts": cuts}
    return Query({"bins": counts(len(cuts) + 1, groups)}, tells, STEP)


def _sorted_out(
    found: NDArray[np.int64], edges: list[int], searched: list[tuple[int, int]], done: dict[int, NDArray[np.int64]]
) -> list[tuple[int, int]]:
    """What must be parted again; `done` gets, by their upper ends, pieces that hold one value."""
    again, starts = [], {low for low, _ in searched}
    ends, inside = {high for _, high in searched}, False
    for place, (low, high) in enumerate(pairwise(edges)):
        inside = low in starts or (inside and low not in ends)
        rows = int(found[place].sum())
        if not inside or rows == 0:
            continue
        if rows == 1 or high - low == 1:
            done[high] = found[place]
        else:
            again.append((low, high))
    return again
