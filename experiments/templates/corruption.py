"""A corruption of your own: what a scanner or a patient does to an image."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.corruptions.corruption import Corruption
from common.study.checks import between


@dataclass(frozen=True)
class Mine:
    """strength: of a shadow that falls over the image from one side, at severity 1; at 1 it is black there."""

    source: ClassVar[str] = "Where the model of the artefact is from"
    modalities: ClassVar[tuple[str, ...]] = ("xray", "photograph")

    strength: float = 0.8

    def __post_init__(self) -> None:
        between("corruption", 0.0, 1.0, strength=self.strength)

    def corrupt(
        self, image: NDArray[np.float32], severity: float, span: tuple[float, float], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Greys above black, weaker towards one side. Chance is asked first, the same at every severity."""
        across = np.linspace(0, 1, image.shape[-1])
        across = across if rng.random() < 0.5 else across[::-1]
        if severity == 0:
            return image
        shade = 1 - severity * self.strength * across
        return (span[0] + (image - span[0]) * shade).astype(np.float32)


corruption: type[Corruption] = Mine
