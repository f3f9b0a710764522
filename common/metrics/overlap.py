"""How well two masks overlap: exact counts of pixels first, one division last."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.metrics.classification import Counts, confusion_matrix
from common.metrics.maps import Labels

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Overlap:
    """Pixels of each class: in both masks, in the truth, in the prediction; (classes,) int64 each.

    Counts add up, so that slices of one patient may be counted apart and scored together.
    """

    both: Counts
    truth: Counts
    prediction: Counts

    @classmethod
    def of(cls, truth: Labels, prediction: Labels, classes: int) -> Overlap:
        """Counts of two masks of class indices of equal shape. Raises as confusion_matrix does."""
        confusion = confusion_matrix(truth, prediction, classes)
        return cls(np.diag(confusion).copy(), confusion.sum(axis=1), confusion.sum(axis=0))

    def __add__(self, other: Overlap) -> Overlap:
        return Overlap(self.both + other.both, self.truth + other.truth, self.prediction + other.prediction)


def dice(overlap: Overlap) -> Scores:
    """(classes,) 2|A n B| / (|A| + |B|); NaN where neither mask has the class, 0 where only one has it."""
    return _ratio(2 * overlap.both, overlap.truth + overlap.prediction)


def jaccard(overlap: Overlap) -> Scores:
    """(classes,) |A n B| / |A u B|; NaN where neither mask has the class, 0 where only one has it."""
    return _ratio(overlap.both, overlap.truth + overlap.prediction - overlap.both)


def _ratio(part: Counts, whole: Counts) -> Scores:
    return np.asarray(np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0))
