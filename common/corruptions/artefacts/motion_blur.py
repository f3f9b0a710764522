"""A patient, a stage or a camera that moves evenly during one exposure: all places of the path are averaged."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.corruptions.corruption import Corruption
from common.study.checks import between


@dataclass(frozen=True)
class MotionBlur:
    """length_pixels: of the path at severity 1; it is straight, and chance decides its direction."""

    source: ClassVar[str] = (
        "Hendrycks and Dietterich 2019, Benchmarking neural network robustness (ICLR), motion blur"
    )
    modalities: ClassVar[tuple[str, ...]] = ("ct", "xray", "microscopy", "photograph")

    length_pixels: float = 6.0

    def __post_init__(self) -> None:
        between("corruption", 0.0, 64.0, length_pixels=self.length_pixels)

    def corrupt(
        self, image: NDArray[np.float32], severity: float, span: tuple[float, float], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Channel by channel, all along the same path, its middle where the image is; beyond the edge it goes on."""
        from scipy.ndimage import shift

        direction = rng.normal(size=image.ndim - 1)
        length = severity * self.length_pixels
        if length == 0:
            return image
        direction *= length / np.linalg.norm(direction)
        places = np.linspace(-0.5, 0.5, 2 * ceil(length) + 1)
        exact = image.astype(np.float64)
        total = sum(shift(exact, (0.0, *(place * direction)), order=1, mode="nearest") for place in places)
        return np.asarray(total / len(places), np.float32)


corruption: type[Corruption] = MotionBlur
