"""A smooth phase, as coils and fields give it to the image of a magnet: magnitudes alone make k-space symmetric."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WAVES = 2
"""Half waves across the image along each axis, at most."""


def smooth_phase(image: NDArray[np.float32], most: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """(2, *S) real and imaginary parts of a real image (*S) under a drawn phase, at most `most` radians from zero."""
    field = np.zeros(image.shape)
    places = [np.linspace(0.0, 1.0, side) for side in image.shape]
    for waves in np.ndindex(*(WAVES + 1,) * image.ndim):
        wave = np.ones(image.shape)
        for axis, (number, place) in enumerate(zip(waves, places, strict=True)):
            along = np.cos(np.pi * number * place)
            wave = wave * along.reshape([-1 if one == axis else 1 for one in range(image.ndim)])
        field += rng.normal() * wave
    phase = most * field / max(float(np.abs(field).max()), 1e-12)
    return np.stack([image * np.cos(phase), image * np.sin(phase)]).astype(np.float32)
