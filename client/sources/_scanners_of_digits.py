"""What scanners make of a drawn image: each has a blur, a haze and a grain of its own, all public constants."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SCANNERS = ((0.0, 0.0, 0.0), (0.7, 0.05, 0.01), (0.3, 0.15, 0.02), (1.0, 0.0, 0.03), (0.5, 0.25, 0.0))
"""Deviation of the blur in pixels, grey level of the haze, deviation of the grain; in turn where there are more."""


def seen_by(number: int, image: NDArray[np.float32], grain: NDArray[np.float64]) -> NDArray[np.float32]:
    """(H, W) in [0, 1] as scanner `number` shows it. grain: (H, W) standard normal, the same under every scanner."""
    blur, haze, noise = SCANNERS[number % len(SCANNERS)]
    shown = ndimage.gaussian_filter(image.astype(np.float64), blur) if blur else image.astype(np.float64)
    return np.asarray(np.clip(haze + (1 - haze) * shown + noise * grain, 0, 1), np.float32)
