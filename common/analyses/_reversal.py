"""Whether a difference changes its sign when it is taken within strata: estimates, their joint spread, and a verdict.

The aggregate is the difference of two means; the adjusted one is standardised to all rows, sum of n_s (m_1s - m_0s)
over sum of n_s. Both are sums over rows of influence functions, whose products give their variances and covariance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Verdict = Literal["paradox", "probable paradox", "confounded", "none", "not comparable"]
CHANCE, PROBABLE, CONFOUNDED = 0.05, 0.10, 0.01
"""Below the first, signs differ beyond chance; below the second, probably; below the third, strata do matter."""
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Arm:
    """Of one side of a comparison: rows, their mean, and their squared distances from it, added up."""

    n: int
    mean: float
    squares: float


@dataclass(frozen=True)
class Difference:
    """second - first, with its standard error."""

    value: float
    error: float

    @property
    def z(self) -> float:
        """In standard errors; of an error of 0, infinitely many."""
        if self.error > 0:
            return self.value / self.error
        return float(np.sign(self.value)) * np.inf if self.value else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """95 %."""
        half = float(stats.norm.ppf(0.975)) * self.error
        return self.value - half, self.value + half

    @property
    def one_sided(self) -> float:
        """p of the other sign."""
        return float(stats.norm.sf(abs(self.z)))


@dataclass(frozen=True)
class Aggregate:
    """Both arms of all rows, and the variance within them, which a small stratum borrows from."""

    first: Arm
    second: Arm

    @property
    def variance(self) -> float:
        """Pooled over the arms."""
        freedom = self.first.n + self.second.n - 2
        return (self.first.squares + self.second.squares) / freedom if freedom > 0 else 0.0

    @property
    def difference(self) -> Difference:
        """With Welch's error, each arm's variance with one more row of the pooled one."""
        spread = sum(spread_of(arm, self.variance) / arm.n for arm in (self.first, self.second))
        return Difference(self.second.mean - self.first.mean, sqrt(spread))


@dataclass(frozen=True)
class Within:
    """Sums over strata in which both arms have rows, of what each can work out from itself and the aggregate.

    rows: n_s. first, second: n_s d_s and n_s d_s^2 of its difference d_s. spread: v n_s^2 / n_gs. drift, drift_by:
    n_gs c_gs and n_gs c_gs d_s, with c_gs its row's constant share in the aggregate. shared: v n_s / n_g.
    """

    rows: float
    first: float
    second: float
    spread: float
    drift: float
    drift_by: float
    shared: float

    @classmethod
    def of(cls, first: Arm, second: Arm, aggregate: Aggregate) -> Within:
        """One stratum's."""
        if not first.n or not second.n:
            return cls(*[0.0] * SUMS)
        rows, difference = first.n + second.n, second.mean - first.mean
        spread = drift = shared = 0.0
        for sign, arm, whole in ((-1, first, aggregate.first), (1, second, aggregate.second)):
            variance = spread_of(arm, aggregate.variance)
            spread += variance * rows**2 / arm.n
            drift += arm.n * sign * (arm.mean - whole.mean) / whole.n
            shared += variance * rows / whole.n
        return cls(rows, rows * difference, rows * difference**2, spread, drift, drift * difference, shared)

    @property
    def values(self) -> tuple[float, ...]:
        """In the order of the fields."""
        return (self.rows, self.first, self.second, self.spread, self.drift, self.drift_by, self.shared)


SUMS = 7
"""Fields of `Within`."""


@dataclass(frozen=True)
class Reversal:
    """The aggregate beside the adjusted difference. gap: the first less the second, with an error of its own."""

    aggregate: Difference
    adjusted: Difference | None
    gap: Difference | None

    @property
    def turned(self) -> bool:
        """Whether the two have opposite signs, chance or not."""
        return self.adjusted is not None and self.aggregate.value * self.adjusted.value < 0

    @property
    def confounded(self) -> float | None:
        """p of aggregate and adjusted being one."""
        return None if self.gap is None else min(2 * self.gap.one_sided, 1.0)

    @property
    def same_sign(self) -> float | None:
        """p of their signs being the same, where they differ here: the larger of both (Berger 1982)."""
        if self.adjusted is None or not self.turned:
            return None
        return max(self.aggregate.one_sided, self.adjusted.one_sided)

    @property
    def verdict(self) -> Verdict:
        """What to tell a reader."""
        if self.confounded is None:
            return "not comparable"
        if self.confounded >= CONFOUNDED:
            return "none"
        p_value = self.same_sign
        if p_value is None or p_value >= PROBABLE:
            return "confounded"
        return "paradox" if p_value < CHANCE else "probable paradox"

    @property
    def found(self) -> bool:
        """Whether it is Simpson's paradox, or probably so."""
        return self.verdict in ("paradox", "probable paradox")


def spread_of(arm: Arm, variance: float) -> float:
    """The variance of a row of an arm: its own, and as much as one row's of the pooled one."""
    return (arm.squares + variance) / arm.n


def stratum_difference(first: Arm, second: Arm, variance: float) -> Difference | None:
    """Of one stratum; None where an arm has no rows."""
    if not first.n or not second.n:
        return None
    return Difference(
        second.mean - first.mean, sqrt(sum(spread_of(arm, variance) / arm.n for arm in (first, second)))
    )


def reversal_of(aggregate: Aggregate, within: Within) -> Reversal:
    """From the sums over strata. Without a stratum that has both arms nothing is adjusted."""
    crude = aggregate.difference
    if not within.rows:
        return Reversal(crude, None, None)
    share = 1 / within.rows
    value = within.first * share
    spread = share**2 * (within.second - value * within.first + within.spread)
    together = share * (within.drift_by - value * within.drift + within.shared)
    gap = crude.error**2 + spread - 2 * together
    return Reversal(
        crude,
        Difference(value, sqrt(max(spread, 0.0))),
        Difference(crude.value - value, sqrt(max(gap, 0.0))),
    )


def crossing_p_value(differences: Sequence[Difference]) -> float:
    """p of no stratum having another sign than any other (Gail and Simon 1985); 1 where all have one."""
    squares = [(one.value, min(one.z**2, 1e6)) for one in differences]
    statistic = min(
        sum(square for value, square in squares if value > 0), sum(square for value, square in squares if value < 0)
    )
    if not statistic:
        return 1.0
    others = len(squares) - 1
    return float(sum(comb(others, k) * 0.5**others * stats.chi2.sf(statistic, k) for k in range(1, others + 1)))


def beyond_chance(differences: Sequence[Difference | None]) -> list[bool]:
    """Which signs are beyond chance, all of them together at 5 % (Holm)."""
    known = [place for place, one in enumerate(differences) if one is not None]
    p_values = {place: 2 * one.one_sided for place in known if (one := differences[place]) is not None}
    sure = [False] * len(differences)
    for step, place in enumerate(sorted(known, key=p_values.__getitem__)):
        if p_values[place] * (len(known) - step) >= CHANCE:
            break
        sure[place] = True
    return sure
