"""A wide point spread: the focus of a microscope, a large focal spot, a soft kernel of reconstruction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.corruptions.corruption import Corruption
from common.study.checks import between


@dataclass(frozen=True)
class Blur:
    """sigma_pixels: of a Gaussian point spread at severity 1, the same along all axes."""

    source: ClassVar[str] = "Hendrycks and Dietterich 2019, Benchmarking neural network robustness (ICLR), blur"
    modalities: ClassVar[tuple[str, ...]] = ("ct", "mr", "xray", "microscopy", "photograph")

    sigma_pixels: float = 2.0

    def __post_init__(self) -> None:
        between("corruption", 0.0, 64.0, sigma_pixels=self.sigma_pixels)

    def corrupt(
        self, image: NDArray[np.float32], severity: float, span: tuple[float, float], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Channel by channel; beyond the edge the edge goes on."""
        from scipy.ndimage import gaussian_filter

        if severity == 0 or self.sigma_pixels == 0:
            return image
        sigma = (0.0, *[severity * self.sigma_pixels] * (image.ndim - 1))
        return np.asarray(gaussian_filter(image.astype(np.float64), sigma, mode="nearest"), np.float32)


corruption: type[Corruption] = Blur
