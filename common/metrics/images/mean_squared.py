"""Mean squared error of an image, plain and as a share of the truth's energy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from common.metrics.images.pairs import Values, as_pair


def mse(image: Any, truth: Any) -> float:
    """Mean of (image - truth)^2, in their own unit squared; 0 is perfect. Raises ImageError."""
    return mean_square(np.subtract(*as_pair(image, truth)))


def nmse(image: Any, truth: Any) -> float:
    """||image - truth||^2 / ||truth||^2: 0 is perfect, 1 is an image of zeros; NaN where the truth is zero.

    As fastMRI has it (Zbontar et al. 2018, equation 7), the square of scikit-image's `normalized_root_mse`.
    Raises ImageError.
    """
    one, true = as_pair(image, truth)
    energy = mean_square(true)
    return mean_square(one - true) / energy if energy > 0 else math.nan


def mean_square(values: Values) -> float:
    """Infinite where it is beyond float64."""
    with np.errstate(over="ignore"):
        return float(np.mean(np.square(values)))
