"""What two mean outcomes say of a treatment: their difference, ratio and odds ratio, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, isfinite, log, sqrt

import numpy as np
from scipy import stats

from common.causality.equations import Floats

LEVEL = 0.95
SMITH_D = 0.91
"""Of a difference in standard deviations to the logarithm of a risk ratio (VanderWeele and Ding 2017, table 2)."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval. error: its standard error, of the logarithm for a ratio."""

    estimate: float
    low: float
    high: float
    error: float

    def as_numbers(self) -> dict[str, float | None]:
        """For an answer; None for what is beyond all numbers."""
        values = {"estimate": self.estimate, "low": self.low, "high": self.high, "standard_error": self.error}
        return {name: value if isfinite(value) else None for name, value in values.items()}

    def holds(self, value: float) -> bool:
        """Whether a value is inside."""
        return self.low <= value <= self.high


def quantile(degrees: float) -> float:
    """Of Student's t, two-sided at 95 %."""
    return float(stats.t.ppf(0.5 + LEVEL / 2, max(degrees, 1.0)))


def linear(weights: Sequence[float], means: Floats, covariance: Floats, degrees: float) -> Interval:
    """A sum of means."""
    w = np.asarray(weights, dtype=np.float64)
    value, error = float(w @ means), sqrt(max(float(w @ covariance @ w), 0.0))
    half = quantile(degrees) * error
    return Interval(value, value - half, value + half, error)


def ratio(one: int, zero: int, means: Floats, covariance: Floats, degrees: float) -> Interval | None:
    """Of two means above 0, by their logarithms."""
    if not (means[one] > 0 and means[zero] > 0):
        return None
    weights = np.zeros(len(means))
    weights[one], weights[zero] = 1 / means[one], -1 / means[zero]
    return _exponential(log(means[one] / means[zero]), weights, covariance, degrees)


def odds_ratio(one: int, zero: int, means: Floats, covariance: Floats, degrees: float) -> Interval | None:
    """Of two risks between 0 and 1, by their log odds."""
    if not all(0 < means[index] < 1 for index in (one, zero)):
        return None
    weights = np.zeros(len(means))
    for index, sign in ((one, 1.0), (zero, -1.0)):
        weights[index] = sign / (means[index] * (1 - means[index]))
    odds = [means[index] / (1 - means[index]) for index in (one, zero)]
    return _exponential(log(odds[0] / odds[1]), weights, covariance, degrees)


def _exponential(value: float, weights: Floats, covariance: Floats, degrees: float) -> Interval:
    error = sqrt(max(float(weights @ covariance @ weights), 0.0))
    half = quantile(degrees) * error
    return Interval(_exp(value), _exp(value - half), _exp(value + half), error)


def _exp(value: float) -> float:
    return exp(value) if value < 700 else inf


@dataclass(frozen=True)
class Sensitivity:
    """Least strength, as a risk ratio with treatment and with outcome, of a confounder that explains all away.

    estimate: of the estimate; interval: of the limit of its interval that is nearer to no effect (1: it holds no
    effect already).
    """

    estimate: float
    interval: float


def e_value(risk_ratio: Interval) -> Sensitivity:
    """VanderWeele and Ding 2017, "Sensitivity analysis in observational research: introducing the E-value"."""
    nearer = risk_ratio.low if risk_ratio.estimate > 1 else risk_ratio.high
    return Sensitivity(_e_value(risk_ratio.estimate), 1.0 if risk_ratio.holds(1.0) else _e_value(nearer))


def standardised_as_ratio(difference: Interval, deviation: float) -> Interval | None:
    """A difference of means as a risk ratio, for its E-value."""
    if not deviation > 0:
        return None
    scale = SMITH_D / deviation
    low, middle, high = (_exp(scale * value) for value in (difference.low, difference.estimate, difference.high))
    return Interval(middle, low, high, scale * difference.error)


def _e_value(risk_ratio: float) -> float:
    larger = risk_ratio if risk_ratio >= 1 else (1 / risk_ratio if risk_ratio > 0 else inf)
    return larger + sqrt(larger * (larger - 1)) if larger < inf else inf
