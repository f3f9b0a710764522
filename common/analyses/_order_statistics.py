"""The value at a rank, by rounds of counts: each parts the range in which it lies, until one double is left."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from common.analyses._doubles import HIGHEST, LOWEST, bins_of, cuts_a_round, cuts_within, demand_finite, double_of
from common.asking.analysis import Query
from common.asking.exact_sums import Total, counts
from common.errors import AnalysisError

STEP = "order"
MOST_CUTS = 1024
"""Numbers of a round: a few ranks need no more, of however many rows."""
Bracket = tuple[int, int]
"""Keys of doubles: above the first, not above the second."""


def values_at(ranks: Iterable[int], n: int, resolution: float = 0.0) -> Generator[Query, Total, dict[int, float]]:
    """Of n values the one at every rank, 0 the smallest; within `resolution` of it, where that is above 0.

    All ranks are looked for in the same rounds; a hospital answers with `bin_counts`.
    """
    brackets: dict[int, Bracket] = dict.fromkeys(sorted(set(ranks)), (LOWEST, HIGHEST))
    budget = min(MOST_CUTS, cuts_a_round(n))
    while searched := {one for one in brackets.values() if not _is_found(one, resolution)}:
        pieces = max(2, budget // len(searched))
        keys = sorted(
            set().union(*(cuts_within(*one, pieces) for one in searched), *(_ends(one) for one in searched))
        )
        total = yield Query(
            {"bins": counts(len(keys) + 1)}, {"cuts": np.array([double_of(key) for key in keys])}, STEP
        )
        upto = np.cumsum(total.count("bins"))
        if upto[-1] != n:
            raise AnalysisError(f"there were {n} values, and now there are {upto[-1]}: a hospital came or went.")
        edges = [LOWEST, *keys, HIGHEST]
        for rank, (low, high) in brackets.items():
            place = int(np.searchsorted(upto, rank, side="right"))
            brackets[rank] = max(low, edges[place]), min(high, edges[place + 1])
    return {rank: _value(one, resolution) for rank, one in brackets.items()}


def bin_counts(values: NDArray[np.float64], query: Query) -> Mapping[str, NDArray[np.integer]]:
    """A hospital's part; values that are missing are none."""
    demand_finite(values)
    cuts = np.asarray(query.tells["cuts"], dtype=np.float64)
    return {"bins": np.bincount(bins_of(values[~np.isnan(values)], cuts), minlength=len(cuts) + 1)}


def _ends(bracket: Bracket) -> set[int]:
    return {key for key in bracket if LOWEST < key < HIGHEST}


def _is_found(bracket: Bracket, resolution: float) -> bool:
    low, high = bracket
    return high - low == 1 or (low > LOWEST and double_of(high) - double_of(low) <= resolution)


def _value(bracket: Bracket, resolution: float) -> float:
    low, high = bracket
    return double_of(high) if high - low == 1 else (double_of(low) + double_of(high)) / 2
