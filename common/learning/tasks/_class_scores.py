"""Scores of predicted chances, beside those of answers: Brier score, calibration, decisions, confusion."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from common.metrics.calibration import calibration_statistics
from common.metrics.classification import confusion_matrix
from common.metrics.roc import ScoreHistogram
from common.sums.mean import UNITS_PER_ONE, Mean

OF_CHANCES = ("brier", "calibration", "decision", "confusion")
MOST_CLASSES = 8
"""Of more a confusion matrix is left out, so that a reply stays small."""


def scores_of_chances(wanted: Collection[str], logits: Tensor, targets: NDArray[np.int64]) -> dict[str, Mean]:
    """Those of OF_CHANCES that are `wanted`, and the histogram of "auc". logits: (N, classes) float64."""
    classes, found = logits.shape[1], dict[str, Mean]()
    chances = logits.softmax(1).numpy()
    if "brier" in wanted:
        found["brier"] = Mean.of(_squares(chances, targets).astype(np.float32).tolist())
    if "calibration" in wanted:
        found |= _calibration(chances, targets)
    if "confusion" in wanted and classes <= MOST_CLASSES:
        found |= _confusion(targets, logits.argmax(1).numpy(), classes)
    if classes == 2 and {"auc", "decision"} & set(wanted):
        log_odds = (logits[:, 1] - logits[:, 0]).float().numpy()
        found |= ScoreHistogram.of(log_odds, targets == 1).statistics()
    return found


def _squares(chances: NDArray[np.float64], targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N,) squared distance of the chance of class 1 from what is true; of several classes summed over all."""
    if chances.shape[1] == 2:
        return np.asarray((chances[:, 1] - targets) ** 2)
    return np.asarray(((chances - np.eye(chances.shape[1])[targets]) ** 2).sum(1))


def _calibration(chances: NDArray[np.float64], targets: NDArray[np.int64]) -> dict[str, Mean]:
    """Of the chance of class 1; of several classes, of the chance of the answer, and whether it was right."""
    if chances.shape[1] == 2:
        return dict(calibration_statistics(chances[:, 1], targets.astype(np.float64)))
    right = chances.argmax(1) == targets
    return dict(calibration_statistics(chances.max(1), right.astype(np.float64)))


def _confusion(targets: NDArray[np.int64], answers: NDArray[np.int64], classes: int) -> dict[str, Mean]:
    """confusion_i_j: of the cases of class i, the share that was answered by j."""
    counts = confusion_matrix(targets, answers, classes)
    return {
        f"confusion_{true}_{answer}": Mean(int(count) * UNITS_PER_ONE, int(counts[true].sum()) * UNITS_PER_ONE)
        for true in range(classes)
        for answer, count in enumerate(counts[true].tolist())
    }
