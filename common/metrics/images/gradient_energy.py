"""How sharp an image is: beside the truth, and by itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.ndimage import laplace

from common.metrics.images.mean_squared import mean_square
from common.metrics.images.pairs import Values, as_pair, as_values, in_channels


def sharpness(image: Any, truth: Any, *, channels: bool = False) -> float:
    """Energy of the image's gradient over that of the truth: 1 is as sharp, less is blurred, more noisy or ringing.

    The energy is the sum of squared differences of neighbours along every axis. NaN where the truth is even.
    channels: the first axis counts channels, whose energies add up. Raises ImageError.
    """
    one, true = as_pair(image, truth)
    there = _energy(true, channels)
    return _energy(one, channels) / there if there > 0 else math.nan


def laplacian_variance(image: Any) -> float:
    """Variance of the image's Laplacian (Pech-Pacheco et al. 2000), in its own unit squared: for want of a truth.

    Of two images of one object the blurred one has the smaller; noise raises it, and so do units. Raises ImageError.
    """
    values = laplace(in_channels(as_values(image, "the image"), False)[0], mode="nearest")
    return mean_square(values - values.mean())


def _energy(values: Values, channels: bool) -> float:
    with np.errstate(over="ignore"):
        return sum(
            float(np.square(np.diff(part, axis=axis)).sum())
            for part in in_channels(values, channels)
            for axis in range(part.ndim)
        )
