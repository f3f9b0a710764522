"""What a histogram of scores tells of decisions: net benefit, the ROC curve, its interval, and the calibration line.

Nothing leaves for these beside the histogram that the area under the curve needs (`common.metrics.roc`): its bins'
edges are thresholds, at which counts of true and false positives are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from common.metrics.roc import BINS, FARTHEST, ScoreHistogram

NORMAL_95 = 1.959963984540054
STEPS, SMALLEST_STEP = 100, 1e-10

Figures = NDArray[np.float64]


@dataclass(frozen=True)
class Benefit:
    """Net benefit at one threshold of the predicted chance, with its 95 % interval, and that of treating all."""

    threshold: float
    model: float
    low: float
    high: float
    treat_all: float


def edges() -> Figures:
    """(BINS - 1,) thresholds between the bins, in log-odds."""
    return np.linspace(-FARTHEST, FARTHEST, BINS + 1)[1:-1]


def decision_curve(histogram: ScoreHistogram) -> tuple[Benefit, ...]:
    """Net benefit TP / n - FP / n * t / (1 - t) at every edge t (Vickers and Elkin 2006, Decision curve analysis).

    A case counts as positive at or above the threshold; who treats nobody has 0 at every t. The interval is normal,
    from the variance over cases, of one case each of which counts 1, -t / (1 - t) or 0.

    Args:
        histogram: of one hospital, or of all together.

    Returns:
        One benefit a threshold.
    """
    cases = int(histogram.positives.sum() + histogram.negatives.sum())
    if not cases:
        return ()
    prevalence = float(histogram.positives.sum()) / cases
    true, false = _at_or_above(histogram.positives) / cases, _at_or_above(histogram.negatives) / cases
    found = []
    for place, log_odds in enumerate(edges().tolist()):
        odds = exp(log_odds)
        benefit = float(true[place] - false[place] * odds)
        spread = NORMAL_95 * sqrt(max(float(true[place] + false[place] * odds**2) - benefit**2, 0.0) / cases)
        chance = odds / (1 + odds)
        every = prevalence - (1 - prevalence) * odds
        found.append(Benefit(chance, benefit, benefit - spread, benefit + spread, every))
    return tuple(found)


def roc_points(histogram: ScoreHistogram) -> tuple[tuple[float, float], ...]:
    """(false positive rate, sensitivity) from (0, 0) to (1, 1), by falling threshold; () where a class is absent."""
    positives, negatives = int(histogram.positives.sum()), int(histogram.negatives.sum())
    if not positives or not negatives:
        return ()
    rates = zip(
        _at_or_above(histogram.negatives)[::-1] / negatives,
        _at_or_above(histogram.positives)[::-1] / positives,
        strict=True,
    )
    return ((0.0, 0.0), *((float(x), float(y)) for x, y in rates), (1.0, 1.0))


def auc_interval(histogram: ScoreHistogram) -> tuple[float, float]:
    """95 % of the area under the curve of the binned scores, by DeLong et al. 1988, on the scale of log-odds.

    The variance over positive and negative cases is exact for scores of so many values.

    Args:
        histogram: of one hospital, or of all together.

    Returns:
        (low, high); NaN where either class has fewer than two cases, or where the ranking is perfect.
    """
    positives, negatives = histogram.positives.astype(np.float64), histogram.negatives.astype(np.float64)
    many, few = positives.sum(), negatives.sum()
    area = histogram.auc
    if many < 2 or few < 2 or not 0 < area < 1:
        return nan, nan
    of_positive = (np.cumsum(negatives) - negatives / 2) / few
    of_negative = (positives[::-1].cumsum()[::-1] - positives / 2) / many
    variance = _variance(of_positive, positives) / many + _variance(of_negative, negatives) / few
    middle, spread = np.log(area / (1 - area)), NORMAL_95 * sqrt(variance) / (area * (1 - area))
    return 1 / (1 + exp(spread - middle)), 1 / (1 + exp(-spread - middle))


def calibration_line(histogram: ScoreHistogram) -> tuple[float, float]:
    """The logistic regression of what happened on the predicted log-odds.

    Cox 1958, Two further applications of a model for binary regression. Each case counts as at the middle of its bin,
    a quarter of a unit of log-odds wide, so that both are those of unbinned scores to about 1 %.

    Args:
        histogram: of one hospital, or of all together.

    Returns:
        (intercept, slope): 0 and 1 are perfect. NaN where there is no answer: one class is absent, or a threshold
        parts the two.
    """
    middles = (np.concatenate([[-FARTHEST], edges()]) + np.concatenate([edges(), [FARTHEST]])) / 2
    totals = (histogram.positives + histogram.negatives).astype(np.float64)
    design, line = np.stack([np.ones(BINS), middles]), np.array([0.0, 1.0])
    if not histogram.positives.sum() or not histogram.negatives.sum() or _is_parted(histogram):
        return nan, nan
    for _ in range(STEPS):
        chances = 1 / (1 + np.exp(-np.clip(line @ design, -500, 500)))
        curvature = (design * (totals * chances * (1 - chances))) @ design.T
        if np.linalg.matrix_rank(curvature) < len(line):
            return nan, nan
        step = np.linalg.solve(curvature, design @ (histogram.positives - totals * chances))
        line = line + np.clip(step, -1, 1)
        if np.abs(step).max() < SMALLEST_STEP:
            return float(line[0]), float(line[1])
    return nan, nan


def _at_or_above(counts: NDArray[np.int64]) -> Figures:
    """(BINS - 1,) cases in the bins above each edge."""
    return np.asarray(counts[::-1].cumsum()[::-1][1:], np.float64)


def _variance(values: Figures, counts: Figures) -> float:
    """Of cases by value, with n - 1."""
    cases = counts.sum()
    mean = float((values * counts).sum() / cases)
    return float(((values - mean) ** 2 * counts).sum() / (cases - 1))


def _is_parted(histogram: ScoreHistogram) -> bool:
    """Whether all of one class lie in bins beyond all of the other."""
    with_positive, with_negative = np.flatnonzero(histogram.positives), np.flatnonzero(histogram.negatives)
    return bool(with_positive[0] >= with_negative[-1] or with_negative[0] >= with_positive[-1])
