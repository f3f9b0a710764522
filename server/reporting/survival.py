"""Kaplan-Meier curves and the log-rank test, of times under observation that may end before the event.

Kaplan and Meier 1958; Mantel 1966 (log-rank of several groups, with the covariance of the hypergeometric).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

FEWEST_A_GROUP = 5


@dataclass(frozen=True)
class Group:
    """Times of the members of one group, and whether each ended in the event."""

    name: str
    times: tuple[float, ...]
    events: tuple[bool, ...]

    def at_risk(self, time: float) -> int:
        """How many were still under observation just before `time`."""
        return sum(one >= time for one in self.times)


def kaplan_meier(times: Sequence[float], events: Sequence[bool]) -> list[tuple[float, float]]:
    """(time, share without the event from then on), where it falls: the product of 1 - events / at risk."""
    alive, points = 1.0, [(0.0, 1.0)]
    for time in sorted({t for t, event in zip(times, events, strict=True) if event}):
        at_risk = sum(t >= time for t in times)
        happened = sum(event and t == time for t, event in zip(times, events, strict=True))
        alive *= 1 - happened / at_risk
        points.append((time, alive))
    return points


def steps(points: Sequence[tuple[float, float]], end: float) -> list[tuple[float, float]]:
    """The corners of the curve as it is drawn, up to the last time of observation."""
    corners = [points[0]]
    for (_, before), (time, after) in pairwise(points):
        corners += [(time, before), (time, after)]
    return [*corners, (end, points[-1][1])]


def log_rank(groups: Sequence[Group]) -> tuple[float, float] | None:
    """(chi-square, p) that all groups have one curve; None where events do not allow a test."""
    times = sorted({t for one in groups for t, event in zip(one.times, one.events, strict=True) if event})
    excess, covariance = np.zeros(len(groups)), np.zeros((len(groups), len(groups)))
    for time in times:
        at_risk = np.array([one.at_risk(time) for one in groups], np.float64)
        happened = np.array(
            [sum(e and t == time for t, e in zip(one.times, one.events, strict=True)) for one in groups], np.float64
        )
        excess, covariance = _added(excess, covariance, at_risk, happened)
    reduced, parts = covariance[:-1, :-1], excess[:-1]
    if len(groups) < 2 or np.linalg.matrix_rank(reduced) < len(groups) - 1:
        return None
    from scipy.stats import chi2

    statistic = float(parts @ np.linalg.solve(reduced, parts))
    return statistic, float(chi2.sf(statistic, len(groups) - 1))


def _added(
    excess: NDArray[np.float64],
    covariance: NDArray[np.float64],
    at_risk: NDArray[np.float64],
    happened: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    everybody, events = at_risk.sum(), happened.sum()
    shares = at_risk / everybody
    excess = excess + happened - events * shares
    if everybody > 1:
        factor = events * (everybody - events) / (everybody - 1)
        covariance = covariance + factor * (np.diag(shares) - np.outer(shares, shares))
    return excess, covariance


def by_risk(risks: Sequence[float], times: Sequence[float], events: Sequence[bool]) -> tuple[Group, ...]:
    """Thirds by predicted risk; equal risks stay together. () where a third has fewer than FEWEST_A_GROUP."""
    low, high = np.quantile(np.asarray(risks), [1 / 3, 2 / 3]) if len(risks) else (0.0, 0.0)
    places = [0 if risk <= low else 1 if risk <= high else 2 for risk in risks]
    found = []
    for k, name in enumerate(("low risk", "middle risk", "high risk")):
        own = [at for at, place in enumerate(places) if place == k]
        found.append(Group(name, tuple(times[at] for at in own), tuple(events[at] for at in own)))
    return tuple(found) if all(len(one.times) >= FEWEST_A_GROUP for one in found) else ()
