"""A coarse axis: fewer slices, or fewer rows, were measured, and what lies between is interpolated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.corruptions.artefacts.partial_volume import averaged, slice_axis
from common.corruptions.corruption import Corruption
from common.study.checks import between


@dataclass(frozen=True)
class Anisotropy:
    """factor: by which one axis is coarser at severity 1.

    The axis is the first one of a volume, as slices are; of an image chance decides which.
    """

    source: ClassVar[str] = "Billot et al. 2023, SynthSeg, section 3.2 (simulation of resolution)"
    modalities: ClassVar[tuple[str, ...]] = ("ct", "mr")

    factor: float = 6.0

    def __post_init__(self) -> None:
        between("corruption", 1.0, 64.0, factor=self.factor)

    def corrupt(
        self, image: NDArray[np.float32], severity: float, span: tuple[float, float], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Means over thick slices, measured at every so many pixels, and linearly interpolated in between."""
        axis = slice_axis(image, rng)
        if severity == 0:
            return image
        step = 1.0 + severity * (self.factor - 1.0)
        thick, length = averaged(image, step, axis), image.shape[axis]
        many = max(2, round(length / step)) if length > 1 else 1
        measured = (np.arange(many) + 0.5) * length / many - 0.5
        return _interpolated(
            _interpolated(thick, np.arange(length), measured, axis), measured, np.arange(length), axis
        )


def _interpolated(
    image: NDArray[np.float32], known: NDArray[np.generic], wanted: NDArray[np.generic], axis: int
) -> NDArray[np.float32]:
    """Along an axis from some places to others, the ends going on."""
    found = np.apply_along_axis(lambda line: np.interp(wanted.astype(float), known.astype(float), line), axis, image)
    return np.asarray(found, np.float32)


corruption: type[Corruption] = Anisotropy
