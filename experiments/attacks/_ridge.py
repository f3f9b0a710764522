"""Ridge regression whose penalty is chosen by generalised cross-validation (Golub, Heath and Wahba 1979)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PENALTIES = np.logspace(-6, 4, 41)
"""Over the largest squared singular value there is."""


@dataclass(frozen=True)
class Ridge:
    """predictions: (N,) of what was asked. squared_errors: (N,) to be expected of each: that of the known, each left
    out, and the more the further what is asked lies from them than they from each other. left_out: (M,) residuals of
    the known, each left out.
    """

    predictions: Floats
    squared_errors: Floats
    left_out: Floats


def ridge(known: Floats, values: Floats, asked: Floats) -> Ridge:
    """Of `asked` (N, F), learned from `known` (M, F) and its values (M,). Both F > M and F < M are fine."""
    centre, middle = known.mean(0), values.mean()
    left, lengths, right = np.linalg.svd(known - centre, full_matrices=False)
    turned = left.T @ (values - middle)
    penalty = min(_penalties(lengths), key=lambda one: _validated(left, lengths, turned, values - middle, one))
    shrunk = lengths**2 / (lengths**2 + penalty)
    residuals = values - middle - left @ (shrunk * turned)
    inside = (asked - centre) @ right.T
    outside = np.maximum(((asked - centre) ** 2).sum(1) - (inside**2).sum(1), 0.0)
    leverages = 1 / len(values) + (inside**2 / (lengths**2 + penalty)).sum(1) + outside / penalty
    predictions = inside @ (lengths / (lengths**2 + penalty) * turned) + middle
    free = np.maximum(1 - _hat(left, shrunk), 1e-6)
    left_out = residuals / free
    further = np.maximum((1 + leverages) / np.mean(1 / free), 1.0)
    return Ridge(predictions, further * np.mean(left_out**2), left_out)


def _penalties(lengths: Floats) -> Floats:
    return np.asarray(PENALTIES * max(float(lengths[0]) ** 2, 1e-30))


def _hat(left: Floats, shrunk: Floats) -> Floats:
    """(M,) the weight of each known value in its own prediction."""
    return np.asarray(1 / len(left) + (left**2 * shrunk).sum(1))


def _validated(left: Floats, lengths: Floats, turned: Floats, centred: Floats, penalty: float) -> float:
    """Generalised cross-validation: the mean squared error, were each left out."""
    shrunk = lengths**2 / (lengths**2 + penalty)
    error = float(np.mean((centred - left @ (shrunk * turned)) ** 2))
    return error / float(max(1 - _hat(left, shrunk).mean(), 1e-6)) ** 2
