"""AUROC and average precision of single scores, exactly, ties and all.

They need every case's score in one place, as on one machine. Between hospitals nothing but counts in shared bins goes
(`common.metrics.roc.ScoreHistogram`), whose area is exact for scores that take that many values; `of_histogram` has
the average precision of the same counts.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.errors import ImageError
from common.metrics.doors import as_reals
from common.metrics.maps import Mask, as_array, as_mask
from common.metrics.roc import ScoreHistogram

Counts = NDArray[np.int64]


def auroc(scores: ArrayLike, truth: ArrayLike) -> float:
    """The chance that a positive case scores above a negative one, ties one half (Hanley and McNeil 1982).

    scores: any shape, such as (N,), larger where positive is likelier; truth: the same shape, not 0 where positive.
    scikit-learn's `roc_auc_score`. NaN where either class has no case. Raises ImageError for two shapes and for NaN.
    """
    positives, negatives = _by_score(scores, truth)
    pairs = int(positives.sum()) * int(negatives.sum())
    below = np.cumsum(negatives) - negatives
    return float((positives * (below + negatives / 2)).sum()) / pairs if pairs else math.nan


def average_precision(scores: ArrayLike, truth: ArrayLike) -> float:
    """sum over falling thresholds of (R_n - R_n-1) P_n, R recall and P precision: no interpolation.

    scikit-learn's `average_precision_score`; arguments and errors as of `auroc`. NaN where no case is positive.
    """
    return _stepwise(*_by_score(scores, truth))


def of_histogram(histogram: ScoreHistogram) -> float:
    """Average precision of scores that are known by their bin: merged counts of hospitals, without any score."""
    return _stepwise(histogram.positives, histogram.negatives)


def as_positive(truth: ArrayLike) -> Mask:
    """Which cases are positive: not 0. Raises ImageError as `as_mask`, and for -1 and 1, of which all would be."""
    positive = as_mask(truth, "the truth")
    if positive.size and positive.all() and np.min(given := as_array(truth, "the truth")) < 0 < np.max(given):
        raise ImageError("the truth must be 0 where a case is negative; it holds numbers below and above 0.")
    return positive


def _stepwise(positives: Counts, negatives: Counts) -> float:
    """Of numbers of cases by rising score."""
    hits, false = positives[::-1].cumsum(), negatives[::-1].cumsum()
    every = int(positives.sum())
    called = hits + false
    precision = np.divide(hits, called, out=np.zeros(len(called)), where=called > 0)
    return float((positives[::-1] * precision).sum()) / every if every else math.nan


def _by_score(scores: ArrayLike, truth: ArrayLike) -> tuple[Counts, Counts]:
    """Positive and negative cases of each score that occurs, by rising score."""
    given, positive = as_reals(scores, "scores"), as_positive(truth)
    if given.shape != positive.shape:
        raise ImageError(f"scores {given.shape} must be a number for each of {positive.shape} cases.")
    positive = positive.reshape(-1)
    values, place = np.unique(given.reshape(-1), return_inverse=True)
    counts = (np.bincount(place[kept], minlength=len(values)) for kept in (positive, ~positive))
    of_positive, of_negative = (np.asarray(one, np.int64) for one in counts)
    return of_positive, of_negative
