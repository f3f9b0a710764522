"""Breath, pulse or a drift of the scanner between shots: faint copies of the image, evenly spaced along an axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.corruptions.corruption import Corruption
from common.study.checks import between


@dataclass(frozen=True)
class Ghosting:
    """strength: by which lines of k-space are weaker at severity 1. ghosts: how many copies, themselves counted."""

    source: ClassVar[str] = "Wood and Henkelman 1985, MR image artifacts from periodic motion (Medical Physics 12)"
    modalities: ClassVar[tuple[str, ...]] = ("mr",)

    strength: float = 0.6
    ghosts: int = 4

    def __post_init__(self) -> None:
        between("corruption", 0.0, 1.0, strength=self.strength)
        between("corruption", 2, 64, ghosts=self.ghosts)

    def corrupt(
        self, image: NDArray[np.float32], severity: float, span: tuple[float, float], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Rows of k-space times 1 - s (1 + cos) / 2 of their number, the cosine's phase drawn."""
        phase = 2 * np.pi * rng.random()
        if severity == 0:
            return image
        rows = np.arange(image.shape[-2])
        weaker = 1 - severity * self.strength * (1 + np.cos(2 * np.pi * rows / self.ghosts + phase)) / 2
        space = np.fft.fft(image.astype(np.float64) - span[0], axis=-2) * weaker[:, None]
        seen = np.fft.ifft(space, axis=-2)
        return (span[0] + (np.abs(seen) if image.min() >= span[0] else seen.real)).astype(np.float32)


corruption: type[Corruption] = Ghosting
