"""Figures of a whole confusion matrix that do not flatter where one class is rare.

Rows are truths, columns predictions, as `common.metrics.classification.confusion_matrix` counts them. Matrices add up
over patients and hospitals before a figure is taken. Each is scikit-learn's of the same counts, and, of two classes,
MetricsReloaded's.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError
from common.metrics.agreement import WEIGHTS
from common.metrics.counts import Counts
from common.metrics.doors import as_choice
from common.metrics.maps import as_labels

Matrix = NDArray[np.float64]


def of_two(counts: Counts, label: int = 0) -> Matrix:
    """(2, 2) of one label of `counts`, by its place: without it, with it."""
    return np.array(
        [
            [counts.true_negatives[label], counts.false_positives[label]],
            [counts.false_negatives[label], counts.true_positives[label]],
        ],
        np.float64,
    )


def balanced_accuracy(confusion: NDArray[np.integer] | Matrix) -> float:
    """The mean, over the classes that the truth has, of the share of each that was found.

    `balanced_accuracy_score`; of two classes (sensitivity + specificity) / 2. NaN where nothing was counted.
    """
    table = _checked(confusion)
    truth = table.sum(axis=1)
    found = np.diag(table)[truth > 0] / truth[truth > 0]
    return float(found.mean()) if len(found) else math.nan


def matthews_correlation(confusion: NDArray[np.integer] | Matrix) -> float:
    """MCC, from -1 to 1, 0 by chance (Matthews 1975; of several classes R_K, Gorodkin 2004, equation 8).

    `matthews_corrcoef`, but that it is NaN where all truths, or all predictions, are of one class: it is 0 / 0 there,
    and scikit-learn answers 0.
    """
    table = _checked(confusion)
    total, right = table.sum(), np.trace(table)
    truth, prediction = table.sum(axis=1), table.sum(axis=0)
    spread = math.sqrt(float(total**2 - truth @ truth)) * math.sqrt(float(total**2 - prediction @ prediction))
    return float(right * total - truth @ prediction) / spread if spread else math.nan


def cohen_kappa_of_counts(
    confusion: NDArray[np.integer] | Matrix, weights: Literal["equal", "linear", "quadratic"] = "equal"
) -> float:
    """Cohen's kappa (1960), or weighted by the distance of classes (1968); `cohen_kappa_score`.

    As `common.metrics.agreement.cohen_kappa`, of classes in the order of the matrix. NaN where both are always of one
    and the same class. Raises UnknownNameError for other weights.
    """
    as_choice(weights, "weights of kappa", WEIGHTS)
    table = _checked(confusion)
    distance = np.abs(np.subtract.outer(np.arange(len(table)), np.arange(len(table))))
    apart = np.where(distance > 0, distance ** WEIGHTS[weights], 0)
    by_chance = float((apart * np.outer(table.sum(axis=1), table.sum(axis=0))).sum())
    return 1 - float((apart * table).sum() * table.sum()) / by_chance if by_chance else math.nan


def _checked(confusion: NDArray[np.integer] | Matrix) -> Matrix:
    table = np.asarray(as_labels(confusion, "the confusion matrix"), np.float64)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or (table.size and table.min() < 0):
        raise ImageError(f"a confusion matrix is (classes, classes) counts of at least 0; this one is {table.shape}.")
    return table
