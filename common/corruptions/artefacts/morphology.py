"""Another anatomy: organs that are larger, smaller or bent, as in patients whom the model has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

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
        places = self._places(image.shape[1:], severity, rng)
        if severity == 0 or self.shift == 0:
            return image
        return np.stack([_read(channel.astype(np.float64), places, 1) for channel in image]).astype(np.float32)

    def moved(self, labels: NDArray[np.int64], severity: float, rng: np.random.Generator) -> NDArray[np.int64]:
        """The nearest label at each of the same places."""
        return np.rint(_read(labels.astype(np.float64), self._places(labels.shape, severity, rng), 0)).astype(
            np.int64
        )

    def _places(self, sides: tuple[int, ...], severity: float, rng: np.random.Generator) -> list[NDArray[np.float64]]:
        """Where every value is read, along each axis."""
        from scipy.ndimage import zoom

        knots = rng.uniform(-1, 1, (len(sides), *[KNOTS] * len(sides)))
        fields = [zoom(one, [side / KNOTS for side in sides], order=3, mode="nearest") for one in knots]
        largest = max(float(np.abs(field).max()) for field in fields)
        scale = severity * self.shift * min(sides) / max(largest, 1e-12) * _from_edge(sides)
        return [axis + scale * field for axis, field in zip(np.indices(sides), fields, strict=True)]


def _read(
    values: NDArray[np.float64], places: list[NDArray[np.float64]], order: Literal[0, 1]
) -> NDArray[np.float64]:
    from scipy.ndimage import map_coordinates

    return np.asarray(map_coordinates(values, np.stack(places), order=order, mode="nearest"), np.float64)


def _from_edge(sides: tuple[int, ...]) -> NDArray[np.float64]:
    """0 at the edge and 1 in the middle, a product of sines."""
    found = np.ones(())
    for side in sides:
        found = np.multiply.outer(found, np.sin(np.pi * (np.arange(side) + 0.5) / side))
    return found


corruption: type[Corruption] = Morphology
