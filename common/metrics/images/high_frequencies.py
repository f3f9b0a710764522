"""Error of fine detail: the high-frequency error norm of Ravishankar and Bresler (2011)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.ndimage import correlate1d, uniform_filter

from common.metrics.images.mean_squared import mean_square
from common.metrics.images.pairs import Values, as_pair, in_channels

RADIUS_PX = 7
SIGMA_PX = 1.5


def hfen(image: Any, truth: Any, *, channels: bool = False) -> float:
    """||L(image) - L(truth)|| / ||L(truth)||: 0 is perfect, 1 shows no detail; NaN where the truth has none.

    L: the Laplacian of a Gaussian of 1.5 pixels, 15 along each axis, less its mean, so that even areas give 0, as in
    "MR image reconstruction from highly undersampled k-space data by dictionary learning" (section III-B); the
    image's edge is continued. Axes of one voxel are none. channels: the first axis counts channels, whose energies
    add up. Raises ImageError.
    """
    one, true = as_pair(image, truth)
    wrong = [mean_square(detail(part)) for part in in_channels(one - true, channels)]
    there = [mean_square(detail(part)) for part in in_channels(true, channels)]
    if math.sqrt(sum(there)) <= np.finfo(np.float64).eps * float(np.abs(true).max()):
        return math.nan
    return math.sqrt(sum(wrong) / sum(there))


def detail(values: Values) -> Values:
    """What the Laplacian of the Gaussian leaves of an image of one channel.

    exp(-r^2 / 2 s^2) (r^2 - D s^2) / s^4 is a sum of D products of functions of one axis, and its mean a box: so a
    volume costs some filters of one axis each in the place of 15^3 products a voxel.
    """
    place = np.arange(-RADIUS_PX, RADIUS_PX + 1, dtype=np.float64)
    weight = np.exp(-(place**2) / (2 * SIGMA_PX**2))
    weight /= weight.sum()
    curved = weight * (place**2 - SIGMA_PX**2) / SIGMA_PX**4
    found = np.zeros_like(values)
    for across in range(values.ndim):
        part = values
        for axis in range(values.ndim):
            part = correlate1d(part, curved if axis == across else weight, axis=axis, mode="nearest")
        found += part
    total = values.ndim * float(curved.sum())
    return np.asarray(found - total * uniform_filter(values, size=len(place), mode="nearest"))
