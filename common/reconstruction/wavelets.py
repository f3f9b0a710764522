"""Orthogonal wavelet transforms of images, periodic at their edges: W'W = W W' = I, of any size.

Filters are PyWavelets'; coefficients are those of its mode `periodization`. They lie where Mallat put them, coarse
ones in the corner of a tensor of the image's size, in any precision, on any device, with gradients. The last pixel
of an odd axis joins the averages as it is.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from torch import Tensor

from common.reconstruction.wavelet_level import averages_and_details, filter_length, from_averages_and_details

SHORTEST_AXIS = 2


@dataclass(frozen=True)
class Wavelet:
    """name: of an orthogonal wavelet of PyWavelets, such as haar, db4 or sym8. levels: as many, where axes allow."""

    name: str
    levels: int

    def corners(self, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Sizes of the averages before each level and after the last. An axis ends when shorter than the filter."""
        length = filter_length(self.name)
        found = [shape]
        for _ in range(self.levels):
            if max(found[-1]) < max(length, SHORTEST_AXIS):
                break
            found.append(tuple((n + 1) // 2 if n >= max(length, SHORTEST_AXIS) else n for n in found[-1]))
        return found

    def forward(self, images: Tensor) -> Tensor:
        """W x: (N, C, *S), as the images."""
        corners = self.corners(tuple(images.shape[2:]))
        found = images
        for before, after in itertools.pairwise(corners):
            block = self._level(corner(found, before), before, after, inverse=False)
            found = block if found is images else found
            corner(found, before).copy_(block)
        return images.clone() if found is images else found

    def inverse(self, coefficients: Tensor) -> Tensor:
        """W' c, which is the inverse."""
        corners = self.corners(tuple(coefficients.shape[2:]))
        found = coefficients.clone()
        for before, after in reversed(list(itertools.pairwise(corners))):
            corner(found, before).copy_(self._level(corner(found, before), before, after, inverse=True))
        return found

    def _level(self, block: Tensor, before: tuple[int, ...], after: tuple[int, ...], inverse: bool) -> Tensor:
        for axis, (size, halved) in enumerate(zip(before, after, strict=True)):
            if size != halved:
                block = (from_averages_and_details if inverse else averages_and_details)(block, axis + 2, self.name)
        return block


def corner(values: Tensor, size: tuple[int, ...]) -> Tensor:
    """The first of every axis of space, as a view."""
    return values[(slice(None), slice(None), *(slice(0, n) for n in size))]
