"""Thick slices: several tissues share a voxel along the axis across slices, and edges there are blurred."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.corruptions.corruption import Corruption
from common.study.checks import between


@dataclass(frozen=True)
class PartialVolume:
    """pixels: thickness of a slice at severity 1, as long as so many pixels.

    The axis is the first one of a volume, as slices are; of an image chance decides which.
    """

    source: ClassVar[str] = "Pham, Xu and Prince 2000, Current methods in medical image segmentation, partial volume"
    modalities: ClassVar[tuple[str, ...]] = ("ct", "mr")

    pixels: float = 6.0

    def __post_init__(self) -> None:
        between("corruption", 1.0, 64.0, pixels=self.pixels)

    def corrupt(
        self, image: NDArray[np.float32], severity: float, span: tuple[float, float], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """The mean over a box of 1 pixel to `pixels` along the axis, its ends counted by the part that is inside."""
        axis = slice_axis(image, rng)
        if severity == 0:
            return image
        return averaged(image, 1.0 + severity * (self.pixels - 1.0), axis)


def slice_axis(image: NDArray[np.float32], rng: np.random.Generator) -> int:
    """The first axis of a volume, as slices are; of an image chance decides which of both."""
    return 1 if image.ndim == 4 else 1 + int(rng.integers(2))


def averaged(image: NDArray[np.float32], pixels: float, axis: int) -> NDArray[np.float32]:
    """Over a centred box of so many pixels, 1 or more; beyond the edge the edge goes on."""
    from scipy.ndimage import correlate1d

    whole = int((pixels - 1.0) // 2)
    part = (pixels - 1.0) / 2 - whole
    weights = np.array([part, *[1.0] * (2 * whole + 1), part]) / pixels
    return np.asarray(correlate1d(image.astype(np.float64), weights, axis=axis, mode="nearest"), np.float32)


corruption: type[Corruption] = PartialVolume
