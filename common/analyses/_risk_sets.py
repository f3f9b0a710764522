"""Sums over risk sets on a grid of times: what hospitals add to them, and the partial likelihood they give."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.analyses import _event_times as finding
from common.analyses._design import array_of
from common.analyses._partial_likelihood import Partial, RiskSums, partial_likelihood
from common.analyses._preparation import Sums
from common.asking.analysis import Query, Told
from common.asking.exact_sums import Total, counts, exact_sums_by, reals

EVENTS, RISK_SETS = "events", "risk sets"

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """times: (T,) of events. strata: S words. events, leaving: (S, T) how many had it, and were last seen from each
    time on but before the next; event_sums: (S, T, p) standardised covariates of the former.
    """

    times: Values
    strata: tuple[str, ...]
    events: Values
    leaving: Values
    event_sums: Values


def grid_of(
    times: Values, strata: tuple[str, ...], size: int, told: Mapping[str, Told]
) -> Generator[Query, Total, Grid]:
    """One round. size: how many covariates."""
    shape = (len(strata), len(times))
    parts = {"events": counts(*shape), "leaving": counts(*shape), "event sums": reals(*shape, size)}
    total = yield Query(parts, {**told, "times": times}, EVENTS)
    events, leaving = (total.count(name).astype(np.float64) for name in ("events", "leaving"))
    return Grid(times, strata, events, leaving, total["event sums"])


def partials(
    grid: Grid, coefficients: Values, efron: bool, told: Mapping[str, Told]
) -> Generator[Query, Total, list[Partial]]:
    """One round: of each stratum."""
    size = len(coefficients)
    shape = (*grid.events.shape, 1 + size + size * (size + 1) // 2)
    parts = {"leaving": reals(*shape)} | ({"tied": reals(*shape)} if efron else {})
    total = yield Query(parts, {**told, "times": grid.times, "coefficients": coefficients}, RISK_SETS)
    leaving = np.flip(np.cumsum(np.flip(total.integers["leaving"], axis=1), axis=1), axis=1)
    at_risk = Total(parts, {"leaving": leaving})["leaving"]
    tied = total["tied"] if efron else at_risk
    return [
        partial_likelihood(RiskSums(at_risk[s], tied[s], grid.events[s], grid.event_sums[s]), coefficients, efron)
        for s in range(len(grid.strata))
    ]


def event_sums(
    query: Query, rows: Values, followed: finding.Followed, stratum: NDArray[np.int64], strata: int
) -> Sums:
    times = array_of(query.tells, "times")
    cell, later = cells(times, followed.times, stratum)
    size, had = strata * len(times), followed.events & later
    return {
        "events": np.bincount(cell[had], minlength=size).reshape(strata, -1),
        "leaving": np.bincount(cell[later], minlength=size).reshape(strata, -1),
        "event sums": exact_sums_by(cell[had], rows[had], size).reshape(strata, len(times), -1),
    }


def risk_set_sums(
    query: Query, shares: Values, followed: finding.Followed, stratum: NDArray[np.int64], strata: int
) -> Sums:
    times = array_of(query.tells, "times")
    cell, later = cells(times, followed.times, stratum)
    size, had = strata * len(times), followed.events & later
    found: Sums = {"leaving": exact_sums_by(cell[later], shares[later], size).reshape(strata, len(times), -1)}
    if "tied" in query.parts:
        found["tied"] = exact_sums_by(cell[had], shares[had], size).reshape(strata, len(times), -1)
    return found


def cells(times: Values, own: Values, stratum: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(N,) which stratum and time each row left at or after; and whether there is such a time."""
    place = np.searchsorted(times, own, side="right") - 1
    return stratum * len(times) + place, place >= 0
