"""What combinations of the sums that were opened tell apart, worked out exactly.

Where one is over fewer hospitals than a sum may be, each one's update is estimated, from the two nearest rounds that
tell it apart and by least squares over all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from time import perf_counter
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId
from common.sums.cohorts import Cohorts
from experiments.attack import Attack, Finding, Per, Sees
from experiments.evidence.told_apart import combination, fewest_told_apart, nearest, told_apart
from experiments.observation import Observation, Summed


@dataclass(frozen=True)
class Estimate:
    """Of one hospital's update: (P,) float64, and the sums of those rounds whose updates it is of."""

    values: NDArray[np.float64]
    of: tuple[Summed, ...]


@dataclass(frozen=True)
class ToldApart:
    """One hospital that is in a sum. own: the fewest hospitals, it among them, whose own sum follows from the opened.

    estimates: of its update, where any hospital is in a sum of fewer than may be opened.
    """

    site: SiteId
    own: tuple[SiteId, ...]
    estimates: tuple[Estimate, ...]


@dataclass(frozen=True)
class DifferencesOfSums:
    """It has no options."""

    sees: ClassVar[Sees] = "sum"
    source: ClassVar[str] = "So et al. 2021, Securing secure aggregation; Lam et al. 2021, Gradient disaggregation"
    question: ClassVar[str] = "differences"
    per: ClassVar[Per] = "run"
    words: ClassVar[str] = "adds and subtracts the sums that were opened, until as few hospitals as can be are left"

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """One claim a hospital that is in a sum."""
        begin, opened = perf_counter(), [one.sites for one in observed.sums]
        if observed.singles or not opened:
            reason = "every single update is read as it is" if observed.singles else "no sum was opened"
            return Finding("differences_of_sums", observed.observer, False, reason)
        apart, fewest = told_apart(opened), fewest_told_apart(opened)
        least = Cohorts.of(observed.study, observed.sites).least
        claims = []
        for site in sorted({site for one in opened for site in one}):
            own = min((one for one in apart if site in one), key=len)
            claims.append(ToldApart(site, own, _estimates(observed.sums, site, own) if fewest < least else ()))
        figures = {"rounds": float(len(opened)), "fewest_of_any": float(fewest), "least_in_sum": float(least)}
        spent = perf_counter() - begin
        return Finding("differences_of_sums", observed.observer, True, "", spent, figures, claims=tuple(claims))


def _estimates(sums: Sequence[Summed], site: SiteId, own: Sequence[SiteId]) -> tuple[Estimate, ...]:
    tried = [_of_two(sums, own), _of_all(sums, site)]
    return tuple(one for one in tried if one is not None)


def _of_two(sums: Sequence[Summed], own: Sequence[SiteId]) -> Estimate | None:
    """The combination of the two rounds with the most alike models that tell exactly these apart."""
    pairs = [
        (float(np.abs(a.parameters - b.parameters).max()), (a, b), factors)
        for a, b in combinations(sums, 2)
        if a.sites != b.sites and (factors := combination([a.sites, b.sites], own)) is not None
    ]
    if not pairs:
        return None
    _, pair, factors = min(pairs, key=lambda one: one[0])
    return Estimate(factors @ np.array([one.update.vectors[0] for one in pair]), pair)


def _of_all(sums: Sequence[Summed], site: SiteId) -> Estimate:
    factors = nearest([one.sites for one in sums], site)
    return Estimate(factors @ np.array([one.update.vectors[0] for one in sums]), tuple(sums))


attack: type[Attack] = DifferencesOfSums
