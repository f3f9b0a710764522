"""Noise of the receiver: Gaussian in an image with a sign, Rician in a magnitude image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.corruptions.corruption import Corruption
from common.study.checks import positive


@dataclass(frozen=True)
class Noise:
    """deviation: of the noise at severity 1, as a share of the span. magnitude: whether the image is a magnitude."""

    source: ClassVar[str] = "Gudbjartsson and Patz 1995, The Rician distribution of noisy MRI data, equation 1"
    modalities: ClassVar[tuple[str, ...]] = ("ct", "mr", "xray", "microscopy", "photograph")

    deviation: float = 0.2
    magnitude: bool = False

    def __post_init__(self) -> None:
        positive("corruption", deviation=self.deviation)

    def corrupt(
        self, image: NDArray[np.float32], severity: float, span: tuple[float, float], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """The image, and its noise grows with severity."""
        drawn = rng.standard_normal((2, *image.shape))
        if severity == 0:
            return image
        real, imaginary = severity * self.deviation * (span[1] - span[0]) * drawn
        if not self.magnitude:
            return np.asarray(image + real, np.float32)
        return np.asarray(span[0] + np.hypot(image - span[0] + real, imaginary), np.float32)


corruption: type[Corruption] = Noise
