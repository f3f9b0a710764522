"""Another protocol or window: greys between black and white are brighter, or darker, than the model has seen."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.corruptions.corruption import Corruption
from common.study.checks import between


@dataclass(frozen=True)
class Contrast:
    """gamma: exponent at severity 1, or one over it, whichever chance decides; black and white stay."""

    source: ClassVar[str] = "Hendrycks and Dietterich 2019, Benchmarking neural network robustness (ICLR), contrast"
    modalities: ClassVar[tuple[str, ...]] = ("ct", "mr", "xray", "microscopy", "photograph")

    gamma: float = 3.0

    def __post_init__(self) -> None:
        between("corruption", 1.0, 20.0, gamma=self.gamma)

    def corrupt(
        self, image: NDArray[np.float32], severity: float, span: tuple[float, float], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """What lies beyond black or white stays as it is."""
        side = 1.0 if rng.random() < 0.5 else -1.0
        if severity == 0:
            return image
        low, high = span
        share = (image.astype(np.float64) - low) / (high - low)
        curved = np.clip(share, 0, 1) ** np.exp(side * severity * log(self.gamma))
        return np.where((share >= 0) & (share <= 1), low + (high - low) * curved, image).astype(np.float32)


corruption: type[Corruption] = Contrast
