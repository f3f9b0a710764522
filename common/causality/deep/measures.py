"""Causes that can be measured in an image, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from common.metrics.strokes import stroke_intensity, stroke_thickness

Measure = Callable[[NDArray[np.float64]], float]
"""Of one (C, H, W) image in [0, 1]."""


def mean_grey(image: NDArray[np.float64]) -> float:
    """The mean grey level, 0 to 255."""
    return 255 * float(image.mean())


def dark_share(image: NDArray[np.float64]) -> float:
    """Share, in percent, of the middle third of the image that is darker than half of what the middle third's
    brightest tenth is: fluid among brain tissue where T1 weighting shows it dark."""
    rows, columns = (slice(side // 3, side - side // 3) for side in image.shape[1:])
    middle = image[0, rows, columns]
    return 100 * float((middle < np.percentile(middle, 90) / 2).mean())


MEASURES: Mapping[str, Measure] = {
    "stroke_thickness": lambda image: stroke_thickness(image[0]),
    "stroke_intensity": lambda image: stroke_intensity(image[0]),
    "mean_grey": mean_grey,
    "dark_share": dark_share,
}
