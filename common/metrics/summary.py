"""What the figures of many cases come to: mean, median, spread, an interval by patient, and the worst of them.

A figure may be not defined (NaN) or infinite (a structure that was missed, or invented). Neither is dropped in
silence: cases of each kind are counted, an infinite case makes the mean infinite and the spread undefined, and the
median and quartiles rank it last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError

RESAMPLES = 2000
INTERVAL = (2.5, 97.5)
CELLS_AT_ONCE = 1 << 21

Values = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Summary:
    """cases: all; undefined, infinite: those of them that are so. patients: those with a defined figure.

    deviation: standard deviation with n - 1; of infinite cases and of fewer than two NaN. mean_interval,
    median_interval: 95 %, bootstrap over patients; NaN of fewer than two patients.
    """

    cases: int
    undefined: int
    infinite: int
    patients: int
    mean: float
    median: float
    deviation: float
    quartiles: Interval
    mean_interval: Interval
    median_interval: Interval


def summary(
    values: Sequence[float],
    rng: np.random.Generator,
    patients: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
) -> Summary:
    """Of one figure of N cases. patients: whose each case is; each its own if not given.

    Intervals are percentiles of means, and of medians, of as many patients drawn with replacement, each with all of
    their cases, for cases of one patient are not independent (Efron and Tibshirani 1993, section 13.3; of clusters
    Davison and Hinkley 1997, section 3.8). Raises ImageError where there are other than N patients.
    """
    given = np.asarray(values, np.float64)
    whose = np.arange(len(given)).astype(str) if patients is None else np.asarray(patients, str)
    if whose.shape != given.shape or given.ndim != 1:
        raise ImageError(f"{given.size} figures came with the patients of {whose.size}.")
    defined = ~np.isnan(given)
    kept, groups = given[defined], np.unique(whose[defined], return_inverse=True)[1]
    count = int(groups.max()) + 1 if len(kept) else 0
    finite = bool(np.isfinite(kept).all())
    of_means, of_medians = _drawn(kept, groups, count, rng, resamples)
    return Summary(
        len(given),
        int((~defined).sum()),
        int(np.isinf(kept).sum()),
        count,
        float(kept.mean()) if len(kept) else math.nan,
        _quantile(kept, 50.0),
        float(kept.std(ddof=1)) if len(kept) > 1 and finite else math.nan,
        (_quantile(kept, 25.0), _quantile(kept, 75.0)),
        _interval(of_means),
        _interval(of_medians),
    )


def worst_first(values: Mapping[str, float], best: Literal["high", "low", "zero"]) -> tuple[tuple[str, float], ...]:
    """Cases and their figures, the worst first, those that are not defined left out; of equal ones by name.

    best: which figures are good; "zero": those near 0, whatever their sign.
    """
    badness = {"high": lambda value: -value, "low": lambda value: value, "zero": abs}[best]
    defined = [(case, value) for case, value in values.items() if not math.isnan(value)]
    return tuple(sorted(defined, key=lambda one: (-badness(one[1]), one[0])))


def _drawn(
    values: Values, groups: NDArray[np.int64], count: int, rng: np.random.Generator, resamples: int
) -> tuple[Values, Values]:
    """(resamples,) means and medians; none of fewer than two patients."""
    if count < 2:
        return np.empty(0), np.empty(0)
    order = np.argsort(values, kind="stable")
    ordered, group = values[order], groups[order]
    at_once = max(1, CELLS_AT_ONCE // len(values))
    parts = [
        _resampled(ordered, group, count, rng, min(at_once, resamples - start))
        for start in range(0, resamples, at_once)
    ]
    means, medians = (np.concatenate(one) for one in zip(*parts, strict=True))
    return means, medians


def _resampled(
    ordered: Values, group: NDArray[np.int64], count: int, rng: np.random.Generator, resamples: int
) -> tuple[Values, Values]:
    """(resamples,) means and medians. ordered: (N,) rising; group: (N,) the patient of each, of so many."""
    drawn = rng.integers(0, count, (resamples, count)) + np.arange(resamples)[:, None] * count
    patients = np.bincount(drawn.reshape(-1), minlength=resamples * count).reshape(resamples, count)
    times = patients[:, group]
    upto = np.cumsum(times, axis=1)
    whole = upto[:, -1:]
    low, high = (ordered[np.argmax(upto > place, axis=1)] for place in ((whole - 1) // 2, whole // 2))
    finite = np.isfinite(ordered)
    means = times[:, finite] @ ordered[finite] / whole[:, 0]
    means[times[:, ~finite].any(axis=1)] = math.inf
    middle = np.where(low == high, low, low / 2 + high / 2)
    return means, middle


def _interval(drawn: Values) -> Interval:
    if not len(drawn):
        return math.nan, math.nan
    return _quantile(drawn, INTERVAL[0]), _quantile(drawn, INTERVAL[1])


def _quantile(values: Values, percent: float) -> float:
    """numpy.percentile's linear one, but that between a finite and an infinite value it is infinite, and not NaN."""
    if not len(values):
        return math.nan
    ordered = np.sort(values)
    place = (len(ordered) - 1) * percent / 100
    low, high = float(ordered[math.floor(place)]), float(ordered[math.ceil(place)])
    return low if low == high or place == math.floor(place) else low + (high - low) * (place - math.floor(place))
