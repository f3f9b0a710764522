"""How often whoever has the event first is at higher predicted risk (Harrell's C), by counts in bins of risk."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.asking.analysis import Query, Told
from common.asking.exact_sums import Integers, Total, counts

CONCORDANCE = "concordance"
BINS = 64
"""As many persons in each, were predictions normal: of pairs, about one in so many cannot be told apart."""


@dataclass(frozen=True)
class Concordance:
    """Of all pairs of which one is known to have had the event first: the share in order. None without a pair.

    low, high: pairs of one bin counted as out of order, or as in order; middle: as half.
    """

    low: float
    middle: float | None
    high: float
    pairs: int


def concordance(
    spread: float, strata: int, times: int, told: Mapping[str, Told]
) -> Generator[Query, Total, Concordance]:
    """One round. spread: of linear predictors, whose mean is near 0. told: times and coefficients among it."""
    edges = spread * stats.norm.ppf(np.arange(1, BINS) / BINS)
    shape = (strata, times, BINS)
    parts = {"events": counts(*shape), "leaving": counts(*shape)}
    total = yield Query(parts, {**told, "edges": edges}, CONCORDANCE)
    events, leaving = (total.count(name).astype(object) for name in ("events", "leaving"))
    later = np.flip(np.cumsum(np.flip(leaving, axis=1), axis=1), axis=1) - events
    below = np.cumsum(later, axis=2) - later
    pairs = int(np.sum(events.sum(axis=2) * later.sum(axis=2)))
    ordered, unknown = int(np.sum(events * below)), int(np.sum(events * later))
    if not pairs:
        return Concordance(0.0, None, 1.0, 0)
    return Concordance(ordered / pairs, (ordered + unknown / 2) / pairs, (ordered + unknown) / pairs, pairs)


def concordance_sums(
    predictor: NDArray[np.float64],
    edges: NDArray[np.float64],
    cell: NDArray[np.int64],
    later: NDArray[np.bool_],
    events: NDArray[np.bool_],
    shape: tuple[int, int],
) -> dict[str, NDArray[np.integer] | Integers]:
    """The hospital's half. cell: (N,) of stratum and time. later: whether a row left at the first time or after."""
    place = cell * BINS + np.searchsorted(edges, predictor)
    size = shape[0] * shape[1] * BINS
    return {
        name: np.bincount(place[rows], minlength=size).reshape(*shape, BINS)
        for name, rows in (("events", events & later), ("leaving", later))
    }
