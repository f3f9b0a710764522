"""Intensities of one case on a scale that a network can learn from, by that case and public constants alone."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float32]
Normalisation = Literal["zscore", "zscore_nonzero", "minmax", "none"]
NORMALISATIONS = ("zscore", "zscore_nonzero", "minmax", "none")


def windowed(image: Numbers, window: tuple[float, ...]) -> Numbers:
    """Clipped to the window [low, high]; () leaves the image as it is."""
    return np.clip(image, np.float32(window[0]), np.float32(window[1])) if window else image


def normalised(image: Numbers, how: Normalisation, window: tuple[float, ...] = ()) -> Numbers:
    """One channel of one case.

    zscore: mean 0 and deviation 1 of all its voxels; zscore_nonzero: of those that are not 0, which stay 0, as where
    a skull was stripped. minmax: the window to [0, 1], or without one the case's least and largest value. An image of
    one value becomes 0.
    """
    if how == "none":
        return image
    if how == "minmax":
        low, high = window or (float(image.min()), float(image.max()))
        return np.asarray((image - np.float64(low)) / ((high - low) or 1.0), np.float32)
    if how == "zscore":
        return _standard(image, image)
    inside = image != 0
    return np.where(inside, _standard(image, image[inside]), np.float32(0)) if inside.any() else image


def _standard(image: Numbers, measured: Numbers) -> Numbers:
    spread = float(measured.std(dtype=np.float64))
    mean = measured.mean(dtype=np.float64)
    return np.asarray((image - mean) / (spread if spread > 0 else 1.0), dtype=np.float32)


def outside_value(image: Numbers, how: Normalisation) -> np.float32:
    """What stands for voxels beyond a channel: its least value, or 0 where that means "nothing there"."""
    return np.float32(0) if how == "zscore_nonzero" else np.float32(image.min())
