"""Means over cases with what chance leaves open of them, from sums that add up over hospitals."""

from __future__ import annotations

from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray

from common.attribution.faithfulness.check import Finding
from common.metrics.intervals import NORMAL_95
from common.sums.mean import Mean, Statistics, means_of

FEWEST = 5
"""Cases; of fewer an interval means nothing."""
SQUARED = "_squared"


def with_spread(name: str, values: NDArray[np.floating]) -> dict[str, Mean]:
    """The mean of one value a case and that of its square; NaN counts nothing."""
    exact = np.asarray(values, np.float64)
    return means_of({name: exact, name + SQUARED: exact**2})


def mean_of(sums: Statistics, name: str) -> float:
    """NaN where nothing was measured."""
    return sums.get(name, Mean()).value


def interval(sums: Statistics, name: str) -> tuple[float, float]:
    """About the mean of `with_spread`, in which 95 of 100 such samples have the truth; NaN of too few cases."""
    mean, square = sums.get(name, Mean()), sums.get(name + SQUARED, Mean())
    cases = mean.weight
    if cases < FEWEST:
        return nan, nan
    variance = max(square.value - mean.value**2, 0.0) * cases / (cases - 1)
    reach = NORMAL_95 * sqrt(variance / cases)
    return mean.value - reach, mean.value + reach


def not_measured(sums: Statistics, name: str, why: str) -> Finding | None:
    """The finding where there is nothing to go by: no case, for the reason `why`, or too few."""
    cases = int(sums.get(name, Mean()).weight)
    if cases == 0:
        return Finding("not applicable", why)
    if cases < FEWEST:
        return Finding("not applicable", f"{cases} cases are too few to tell; {FEWEST} are needed.")
    return None


def spelled(value: float) -> str:
    """Two digits after the point."""
    return f"{value:.2f}"
