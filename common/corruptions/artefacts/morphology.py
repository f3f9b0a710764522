"""Another anatomy: organs that are larger, smaller or bent, as in patients whom the model has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.corruptions.corruption import Corruption
from common.study.checks import between

KNOTS = 4


@dataclass(frozen=True)
class Morphology:
    """shift: how far a place moves at severity 1 at most, as a share of the shortest side; smooth over the image."""

    source: ClassVar[str] = "Simard, Steinkraus and Platt 2003, Best practices for convolutional neural networks"
    modalities: ClassVar[tuple[str, ...]] = ("ct", "mr", "xray", "microscopy", "photograph")

    shift: float = 0.08

    def __post_init__(self) -> None:
        between("corruption", 0.0, 0.2, shift=self.shift)

    def corrupt(
        self, image: NDArray[np.float32], severity: float, span: tuple[float, float], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Values from places that a cubic through drawn knots moves; the edge stays."""
        from scipy.ndimage import map_coordinates, zoom

        sides = image.shape[1:]
        knots = rng.uniform(-1, 1, (len(sides), *[KNOTS] * len(sides)))
        if severity == 0 or self.shift == 0:
            return image
        fields = [zoom(one, [side / KNOTS for side in sides], order=3, mode="nearest") for one in knots]
        largest = max(float(np.abs(field).max()) for field in fields)
        scale = severity * self.shift * min(sides) / max(largest, 1e-12)
        edge = _from_edge(sides)
        places = [axis + scale * edge * field for axis, field in zip(np.indices(sides), fields, strict=True)]
        seen = [map_coordinates(channel, places, order=1, mode="nearest") for channel in image.astype(np.float64)]
        return np.stack(seen).astype(np.float32)


def _from_edge(sides: tuple[int, ...]) -> NDArray[np.float64]:
    """0 at the edge and 1 in the middle, a product of sines."""
    found = np.ones(())
    for side in sides:
        found = np.multiply.outer(found, np.sin(np.pi * (np.arange(side) + 0.5) / side))
    return found


corruption: type[Corruption] = Morphology
