"""How an image of a head would look by another machine: other contrasts, echoes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from experiments.benchmarks._registration_problems import OTHER_CONTRAST

Values = NDArray[np.float64]
WHITE = 133.0
"""Of the scale of `OTHER_CONTRAST`, where the brightest lies."""


def other_contrast(values: Values) -> Values:
    """Fluid bright, white matter dark."""
    low, high = np.percentile(values, (1, 99.5))
    scaled = WHITE * (values - low) / (high - low)
    return np.asarray(np.interp(scaled, *OTHER_CONTRAST))


def like_ultrasound(values: Values, rng: np.random.Generator) -> Values:
    """Edges bright by how steep they are, tissue by itself a little, speckle, and shadows below what is bright."""
    scaled = (values - values.min()) / np.ptp(values)
    steep = np.sqrt(sum(part**2 for part in np.gradient(gaussian_filter(scaled, 0.7))))
    echo = steep / steep.max() + 0.25 * np.sqrt(scaled)
    speckle = gaussian_filter(rng.rayleigh(1.0, values.shape), 0.5)
    passed = np.exp(-0.6 * np.cumsum(echo, axis=1) / echo.shape[1] / echo.mean())
    return np.asarray(echo * speckle * passed)
