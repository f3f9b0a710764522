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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError
from common.metrics.doors import as_number, as_wanted
from common.metrics.maps import Labels, as_labels

FEW_LABELS = 8
LARGEST_BETA = 1e6
"""With which F is sensitivity to more digits than anybody shows."""

Numbers = NDArray[np.int64]
Figures = NDArray[np.float64]
Parts = tuple[Numbers, Numbers] | tuple[Figures, Figures]


@dataclass(frozen=True)
class Counts:
    """(L,) int64 each, of L labels: voxels that both maps give the label (tp), only one of them (fp, fn), or none."""

    true_positives: Numbers
    false_positives: Numbers
    false_negatives: Numbers
    true_negatives: Numbers

    @classmethod
    def of(cls, truth: Labels, prediction: Labels, labels: Iterable[int] | int) -> Counts:
        """Of two maps of whole numbers of one shape. Raises ImageError for two shapes, and for other numbers."""
        truth, prediction = as_labels(truth, "the truth"), as_labels(prediction, "the prediction")
        if truth.shape != prediction.shape:
            raise ImageError(f"truth {truth.shape} and prediction {prediction.shape} must be maps of one shape.")
        wanted = as_wanted(labels)
        agreed, of_truth, of_prediction = (
            _counted_singly(truth, prediction, wanted)
            if len(wanted) <= FEW_LABELS
            else _counted_together(truth, prediction, np.array(wanted, np.int64))
        )
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
    return _ratio(*sensitivity_parts(counts))


def specificity(counts: Counts) -> Figures:
    """(L,) TNR = TN / (TN + FP)."""
    return _ratio(*specificity_parts(counts))


def precision(counts: Counts) -> Figures:
    """(L,) PPV = TP / (TP + FP)."""
    return _ratio(*precision_parts(counts))


def accuracy(counts: Counts) -> Figures:
    """(L,) ACC = (TP + TN) / all. Of a small structure it is near 1 whatever the prediction."""
    return _ratio(*accuracy_parts(counts))


def f_beta(counts: Counts, beta: float = 1.0) -> Figures:
    """(L,) (1 + b^2) TP / ((1 + b^2) TP + FP + b^2 FN); Dice for b = 1 (van Rijsbergen 1979).

    Raises ImageError for a beta below 0 or beyond LARGEST_BETA.
    """
    return _ratio(*f_beta_parts(counts, beta))


def jaccard(counts: Counts) -> Figures:
    """(L,) IoU = TP / (TP + FP + FN) = D / (2 - D)."""
    return _ratio(*jaccard_parts(counts))


def volume_similarity(counts: Counts) -> Figures:
    """(L,) 1 - |FN - FP| / (2 TP + FP + FN), in 0..1 (Taha and Hanbury 2015; SimpleITK's is signed and doubled)."""
    sizes = 2 * counts.true_positives + counts.false_positives + counts.false_negatives
    return np.asarray(1 - _ratio(np.abs(counts.false_negatives - counts.false_positives), sizes))


def sensitivity_parts(counts: Counts) -> Parts:
    """(L,) TP and TP + FN. Like all parts of a figure they add up, where the figure itself does not."""
    return counts.true_positives, counts.true_positives + counts.false_negatives


def specificity_parts(counts: Counts) -> Parts:
    """(L,) TN and TN + FP."""
    return counts.true_negatives, counts.true_negatives + counts.false_positives


def precision_parts(counts: Counts) -> Parts:
    """(L,) TP and TP + FP."""
    return counts.true_positives, counts.true_positives + counts.false_positives


def accuracy_parts(counts: Counts) -> Parts:
    """(L,) TP + TN and all."""
    right = counts.true_positives + counts.true_negatives
    return right, right + counts.false_positives + counts.false_negatives


def f_beta_parts(counts: Counts, beta: float) -> Parts:
    """(L,) (1 + b^2) TP and (1 + b^2) TP + FP + b^2 FN."""
    beta = as_number(beta, "beta", 0.0, LARGEST_BETA)
    hits: Figures = (1.0 + beta**2) * counts.true_positives.astype(np.float64)
    return hits, np.asarray(hits + counts.false_positives + beta**2 * counts.false_negatives)


def jaccard_parts(counts: Counts) -> Parts:
    """(L,) TP and TP + FP + FN."""
    return counts.true_positives, counts.true_positives + counts.false_positives + counts.false_negatives


def _counted_singly(truth: Labels, prediction: Labels, wanted: Sequence[int]) -> tuple[Numbers, Numbers, Numbers]:
    """Voxels of both, of the truth, of the prediction: a pass a label, each far faster than a histogram."""
    rows = []
    for label in wanted:
        in_truth, in_prediction = _where(truth, label), _where(prediction, label)
        rows.append([np.count_nonzero(part) for part in (in_truth & in_prediction, in_truth, in_prediction)])
    both, of_truth, of_prediction = np.array(rows, np.int64).reshape(-1, 3).T
    return both, of_truth, of_prediction


def _where(values: Labels, label: int) -> NDArray[np.bool_]:
    """Where the label is; a mask is its own answer to label 1."""
    return np.asarray(values if values.dtype == np.bool_ and label == 1 else values == label)


def _counted_together(truth: Labels, prediction: Labels, wanted: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    return (
        _occurrences(truth[truth == prediction], wanted),
        _occurrences(truth, wanted),
        _occurrences(prediction, wanted),
    )


def _occurrences(values: Labels, wanted: Numbers) -> Numbers:
    """(L,) how often each wanted label occurs."""
    found, counts = np.unique(values, return_counts=True)
    table = dict(zip(found.tolist(), counts.tolist(), strict=True))
    return np.array([table.get(label, 0) for label in wanted.tolist()], np.int64)


def _ratio(part: NDArray[np.generic], whole: NDArray[np.generic]) -> Figures:
    answer = np.full(part.shape, np.nan)
    np.divide(part, whole, out=answer, where=np.asarray(whole) > 0)
    return answer
