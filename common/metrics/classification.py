"""Figures of a classification, all from one table of counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError
from common.metrics.doors import as_whole
from common.metrics.maps import Labels, as_labels

Counts = NDArray[np.int64]

MOST_CLASSES = 1 << 14
"""The table of so many takes 2 GB."""


def confusion_matrix(truth: Labels, prediction: Labels, classes: int) -> Counts:
    """How often the truth of the row was answered by the prediction of the column.

    Args:
        truth: class indices, of any shape.
        prediction: class indices, of the same shape.
        classes: how many there are.

    Returns:
        (classes, classes) int64.

    Raises:
        ImageError: for other shapes and indices, and for what is no map of whole numbers.
    """
    truth, prediction = as_labels(truth, "the truth"), as_labels(prediction, "the prediction")
    classes = as_whole(classes, "classes", 1, MOST_CLASSES)
    if truth.shape != prediction.shape:
        raise ImageError(f"truth {truth.shape} and prediction {prediction.shape} differ in shape.")
    for name, labels in (("truth", truth), ("prediction", prediction)):
        if labels.size and not 0 <= labels.min() <= labels.max() < classes:
            raise ImageError(
                f"the {name} holds {labels.min()} to {labels.max()}; class indices end at {classes - 1}."
            )
    cells = truth.reshape(-1).astype(np.int64) * classes + prediction.reshape(-1).astype(np.int64)
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes).astype(np.int64, copy=False)


def accuracy(confusion: Counts) -> float:
    """The share of right answers; NaN where nothing was counted."""
    total = int(confusion.sum())
    return int(np.trace(confusion)) / total if total else float("nan")


def recall(confusion: Counts) -> NDArray[np.float64]:
    """(classes,) TP / (TP + FN): of each class, the share that was found; NaN where the truth has none of it."""
    truth = confusion.sum(axis=1)
    return np.asarray(np.divide(np.diag(confusion), truth, out=np.full(len(truth), np.nan), where=truth > 0))
