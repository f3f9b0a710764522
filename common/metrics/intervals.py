"""Confidence intervals from sums over patients: what a hospital adds to a mean, and what becomes of all sums.

A score of the pooled patients is a ratio R = sum t_i / sum w_i, where patient i brings the total t_i and the weight
w_i (of accuracy: right answers, and cases). The patient is the unit: cases of one patient are not independent. Then

    Var(R) = n / (n - 1) * sum (t_i - R w_i)^2 / (sum w_i)^2
           = n / (n - 1) * (sum t_i^2 - 2 R sum t_i w_i + R^2 sum w_i^2) / (sum w_i)^2,

the linearised variance of a ratio of n clusters (Cochran 1977, Sampling techniques, section 6.4). Every sum in it
adds up over hospitals, exactly, so that the interval is that of the pooled patients, and three numbers a score leave
where a bootstrap would need hundreds.

Two means carry them: spread_NAME is sum t_i^2 / sum w_i^2, and patients_NAME is sum t_i w_i / n.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import isfinite, nan, sqrt

from common.metrics.doors import as_number
from common.metrics.roc import is_structure
from common.sums.mean import UNITS_PER_ONE, Mean, Statistics

SPREAD, PATIENTS = "spread_", "patients_"
MOMENT = "moment_"
"""How statistics begin that are no scores by themselves, and that scores are made of as they are shown."""
SQUARE_UNITS = 1 << 30
"""Of the sums of products: coarser than a mean's units, so that squares of distances in mm fit."""
LARGEST_PRODUCT = 1 << 20
"""A patient beyond it counts as so much; no score of ours comes near."""
MOST_STATISTICS = 240
"""Of a split: beyond it scores of single classes have no interval, so that a reply stays small."""
NORMAL_95 = 1.959963984540054
SMALLEST_CASES, LARGEST_CASES = 1e-9, 1e18
PROPORTIONS = ("accuracy", "recall", "precision", "specificity", "jaccard", "f1")
LESIONS = ("lesion", "panoptic", "segmentation")
UNIT = (
    *PROPORTIONS,
    *LESIONS,
    "dice",
    "sensitivity",
    "likelihood",
    "pooled",
    "surface_dice",
    "volume_similarity",
    "f",
)
"""First words of scores that lie within 0 and 1."""

Interval = tuple[float, float]


def with_intervals(names: Iterable[str]) -> tuple[str, ...]:
    """The scores that have an interval, of all statistics of a task (`statistic_names`).

    Those of no single class first, then the others by name, as many as there is room for. Moments of features have
    none: they are no scores by themselves.
    """
    every = sorted(names)
    single = [name for name in every if not is_structure(name) and not name.startswith(MOMENT)]
    room = max((MOST_STATISTICS - len(every)) // 2, 0)
    return tuple(sorted(single, key=lambda name: name.rpartition("_")[2].isdigit())[:room])


def names_of_sums(names: Iterable[str]) -> tuple[str, ...]:
    """The statistics that go beside those of `names`."""
    return tuple(prefix + name for name in with_intervals(names) for prefix in (SPREAD, PATIENTS))


def patient_sums(scores: Statistics, names: Iterable[str]) -> dict[str, Mean]:
    """What one patient's scores add, of the scores `names`."""
    found: dict[str, Mean] = {}
    for name in names:
        mean = scores.get(name, Mean())
        total, weight = mean.total_units / UNITS_PER_ONE, mean.weight
        if weight:
            found[SPREAD + name] = Mean(_square(total * total), _square(weight * weight))
            found[PATIENTS + name] = Mean(_square(total * weight), UNITS_PER_ONE)
    return found


def intervals_of(statistics: Statistics) -> dict[str, Interval]:
    """95 % intervals by score, of merged statistics; none of a score of fewer than two patients.

    Of proportions Wilson's, with as many independent patients as would vary as much, fewer where the variance is that
    of a few patients with several cases each (Korn and Graubard 1998), which does not collapse where every answer is
    right; of others Student's with n - 1, within 0 and 1 where the score is.
    """
    found: dict[str, Interval] = {}
    for name, mean in statistics.items():
        squares, products = statistics.get(SPREAD + name), statistics.get(PATIENTS + name)
        if squares is None or products is None or not mean.weight_units:
            continue
        patients = products.weight_units / UNITS_PER_ONE
        if patients < 2:
            continue
        variance = _variance(mean, squares, products, patients)
        if name.partition("_")[0] in PROPORTIONS:
            found[name] = wilson(mean.value, _independent(mean, variance, patients))
        else:
            found[name] = _student(name, mean.value, sqrt(variance), patients)
    return found


def wilson(share: float, cases: float) -> Interval:
    """95 % score interval of a share of so many independent cases (Wilson 1927). Raises ImageError."""
    share, cases = as_number(share, "share", 0, 1), as_number(cases, "cases", SMALLEST_CASES, LARGEST_CASES)
    square = NORMAL_95**2
    middle = (share + square / (2 * cases)) / (1 + square / cases)
    half = NORMAL_95 * sqrt(share * (1 - share) / cases + square / (4 * cases**2)) / (1 + square / cases)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def presented_intervals(
    intervals: Mapping[str, Interval],
    values: Mapping[str, float | None],
    show: Callable[[Mapping[str, float | None]], Mapping[str, float | None]],
) -> dict[str, Interval]:
    """Intervals of scores as they are shown, where `show` makes other scores of means, rising or falling.

    A shown score that several means go into has none: the interval of one says nothing of the others.
    """
    base = show(values)
    found: dict[str, list[Interval]] = {}
    for name, ends in intervals.items():
        low, high = (show({**values, name: end}) for end in ends)
        for shown, value in base.items():
            pair = (low.get(shown), high.get(shown))
            if pair != (value, value) or (shown == name and ends[0] == ends[1]):
                found.setdefault(shown, []).append(_ordered(*pair))
    return {name: ends[0] for name, ends in found.items() if len(ends) == 1}


def _ordered(one: float | None, other: float | None) -> Interval:
    first, second = nan if one is None else one, nan if other is None else other
    return min(first, second), max(first, second)


def _square(product: float) -> int:
    return round(max(-LARGEST_PRODUCT, min(product, LARGEST_PRODUCT)) * SQUARE_UNITS) if isfinite(product) else 0


def _variance(mean: Mean, squares: Mean, products: Mean, patients: float) -> float:
    ratio = mean.value
    sums = squares.total_units - 2 * ratio * products.total_units + ratio**2 * squares.weight_units
    return max(sums / SQUARE_UNITS, 0.0) / mean.weight**2 * patients / (patients - 1)


def _independent(mean: Mean, variance: float, patients: float) -> float:
    """How many independent cases give a share this variance; where nothing varied, one a patient."""
    from scipy.stats import t

    spread = mean.value * (1 - mean.value)
    if variance <= 0 or spread <= 0:
        return patients
    of_few = (NORMAL_95 / float(t.ppf(0.975, patients - 1))) ** 2 if mean.weight > patients else 1.0
    return spread / variance * of_few


def _student(name: str, value: float, error: float, patients: float) -> Interval:
    from scipy.stats import t

    half = float(t.ppf(0.975, patients - 1)) * error
    low, high = value - half, value + half
    return (max(low, 0.0), min(high, 1.0)) if name.partition("_")[0] in UNIT else (low, high)
