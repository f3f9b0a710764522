"""Figures of the four counts: true and false positives and negatives, label by label.

Where a figure divides by nothing it is NaN, "not defined", and where it is defined it follows from its formula:

| truth | prediction | Dice, Jaccard | sensitivity | precision | volume similarity |
|-------|------------|---------------|-------------|-----------|-------------------|
| empty | empty      | NaN           | NaN         | NaN       | NaN               |
| empty | not empty  | 0             | NaN         | 0         | 0                 |
| not   | empty      | 0             | 0           | NaN       | 0                 |

Counts add up, over slices, patients and hospitals, before a figure is taken of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError
from common.metrics.classification import Labels

Numbers = NDArray[np.int64]
Figures = NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """(L,) int64 each, of L labels: voxels that both maps give the label (tp), only one of them (fp, fn), or none."""

    true_positives: Numbers
    false_positives: Numbers
    false_negatives: Numbers
    true_negatives: Numbers

    @classmethod
    def of(cls, truth: Labels, prediction: Labels, labels: Sequence[int]) -> Counts:
        """Of two maps of whole numbers of one shape. Raises ImageError for two shapes."""
        if truth.shape != prediction.shape:
            raise ImageError(f"truth {truth.shape} and prediction {prediction.shape} must be maps of one shape.")
        wanted = np.asarray(labels, np.int64)
        agreed = _occurrences(truth[truth == prediction], wanted)
        of_truth, of_prediction = _occurrences(truth, wanted), _occurrences(prediction, wanted)
        rest = truth.size - of_truth - of_prediction + agreed
        return cls(agreed, of_prediction - agreed, of_truth - agreed, rest)

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
            self.true_negatives + other.true_negatives,
        )


def sensitivity(counts: Counts) -> Figures:
    """(L,) TPR = TP / (TP + FN), recall."""
    return _ratio(counts.true_positives, counts.true_positives + counts.false_negatives)


def specificity(counts: Counts) -> Figures:
    """(L,) TNR = TN / (TN + FP)."""
    return _ratio(counts.true_negatives, counts.true_negatives + counts.false_positives)


def precision(counts: Counts) -> Figures:
    """(L,) PPV = TP / (TP + FP)."""
    return _ratio(counts.true_positives, counts.true_positives + counts.false_positives)


def accuracy(counts: Counts) -> Figures:
    """(L,) ACC = (TP + TN) / all. Of a small structure it is near 1 whatever the prediction."""
    right = counts.true_positives + counts.true_negatives
    return _ratio(right, right + counts.false_positives + counts.false_negatives)


def f_beta(counts: Counts, beta: float = 1.0) -> Figures:
    """(L,) (1 + b^2) TP / ((1 + b^2) TP + FP + b^2 FN); Dice for b = 1 (van Rijsbergen 1979)."""
    hits = (1 + beta**2) * counts.true_positives
    return _ratio(hits, hits + counts.false_positives + beta**2 * counts.false_negatives)


def jaccard(counts: Counts) -> Figures:
    """(L,) IoU = TP / (TP + FP + FN) = D / (2 - D)."""
    return _ratio(counts.true_positives, counts.true_positives + counts.false_positives + counts.false_negatives)


def volume_similarity(counts: Counts) -> Figures:
    """(L,) 1 - |FN - FP| / (2 TP + FP + FN), in 0..1 (Taha and Hanbury 2015; SimpleITK's is signed and doubled)."""
    sizes = 2 * counts.true_positives + counts.false_positives + counts.false_negatives
    return np.asarray(1 - _ratio(np.abs(counts.false_negatives - counts.false_positives), sizes))


def _occurrences(values: Labels, wanted: Numbers) -> Numbers:
    """(L,) how often each wanted label occurs."""
    if values.size and values.min() >= 0 and values.max() < 1 << 16:
        table = np.bincount(values.reshape(-1).astype(np.int64, copy=False), minlength=1 << 16)
        return np.asarray(np.where((wanted >= 0) & (wanted < 1 << 16), table[wanted.clip(0, (1 << 16) - 1)], 0))
    return np.array([np.count_nonzero(values == label) for label in wanted], np.int64)


def _ratio(part: NDArray[np.generic], whole: NDArray[np.generic]) -> Figures:
    answer = np.full(part.shape, np.nan)
    np.divide(part, whole, out=answer, where=np.asarray(whole) > 0)
    return answer
