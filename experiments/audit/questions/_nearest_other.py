"""How like a reconstruction is to somebody else: what the likeness to the right patient has to stand out from."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import numpy as np
from numpy.typing import NDArray

from experiments.audit.questions._similarity import correlations, fitted, ssim
from experiments.evidence.ground_truth import Truth, others_than

MOST_COMPARED = 8
"""Of other patients' cases, those that correlate most: a structural similarity takes milliseconds."""


def rivals(found: NDArray[np.float32], truth: Truth, everybody: Truth, span: float) -> list[float]:
    """Of each reconstructed case (N, ...), the greatest likeness to a case of a patient who is not behind the update.

    Likeness: structural similarity after an affine fit of each channel, for tables correlation. 0 without others.
    """
    others = everybody.inputs[others_than(truth, everybody)]
    if not len(others):
        return [0.0] * len(found)
    alike = correlations(found, others)
    nearest = np.argsort(-alike, axis=1)[:, :MOST_COMPARED]
    return [_likest(one, others[rows], row[rows], span) for one, row, rows in zip(found, alike, nearest, strict=True)]


def _likest(
    one: NDArray[np.float32], others: NDArray[np.float32], alike: Sequence[float] | NDArray[np.float64], span: float
) -> float:
    similar = [ssim(other, fitted(other, one), span) for other in others]
    return max(float(a) if isnan(s) else s for s, a in zip(similar, alike, strict=True))
