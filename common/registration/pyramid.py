"""Gaussian pyramids: the same cube in fewer voxels, each the Gaussian average about its centre."""

from __future__ import annotations

import numpy as np
import torch

from common.data.geometry import Geometry
from common.data.image import Image
from common.registration.filters import along_axes, gaussian, reduction

SMALLEST_AXIS = 8
LEAST_SHARE = 0.01
"""Of a coarse voxel, what must lie in a mask for its value to be that of the mask."""
EDGE_SIGMA = 1.0
"""Voxels by which the finest level is smoothed beyond a mask's edge."""
SMOOTHING = 0.5
"""Standard deviation in voxels of the coarser level: the usual half of the new spacing."""


def pyramid(image: Image, levels: int, mask: Image | None = None) -> list[Image]:
    """Coarsest first, the last is the image itself; spacing doubles at most from level to level."""
    return [coarser_within(image, mask, 2**level) for level in reversed(range(levels))]


def coarser_within(image: Image, mask: Image | None, factor: float) -> Image:
    """As `coarser`; where there is a mask, of what is in it alone, which is carried on a little beyond its edge.

    What is masked away leaks into nothing: not by averages, by slopes, or between voxels.
    """
    plain = coarser(image, factor)
    if mask is None:
        return plain
    shape = image.geometry.shape
    coarse = plain.geometry.shape != shape
    matrices = _matrices(shape, plain.geometry.shape) if coarse else [gaussian(size, EDGE_SIGMA) for size in shape]
    counted = np.stack([mask.values, image.values * mask.values]).astype(np.float32)
    share, within = along_axes(torch.from_numpy(counted), matrices).numpy()
    held = share > LEAST_SHARE
    held &= True if coarse else ~mask.values
    return Image(np.where(held, within / np.where(held, share, 1), plain.values), plain.geometry)


def coarser(image: Image, factor: float) -> Image:
    """float32, spaced `factor` times the finest axis' spacing along every axis that is finer than that."""
    shape = coarser_shape(image.geometry, factor)
    values = torch.from_numpy(np.ascontiguousarray(image.values, np.float32))
    if shape != image.geometry.shape:
        values = along_axes(values[None], _matrices(image.geometry.shape, shape))[0]
    return Image(values.numpy(), image.geometry.resized(shape))


def _matrices(shape: tuple[int, ...], fewer: tuple[int, ...]) -> list[torch.Tensor]:
    sizes = zip(shape, fewer, strict=True)
    return [reduction(old, new, SMOOTHING * old / new if new < old else 0.0) for old, new in sizes]


def coarser_shape(geometry: Geometry, factor: float) -> tuple[int, ...]:
    """Sizes at `factor` times the smallest spacing; no axis grows, and none falls below 8 voxels by this."""
    wanted = factor * min(geometry.spacing_mm)
    sizes = zip(geometry.shape, geometry.spacing_mm, strict=True)
    return tuple(min(size, max(SMALLEST_AXIS, round(size * spacing / wanted))) for size, spacing in sizes)


def suited_levels(geometry: Geometry) -> int:
    """As many levels, at most 4, as leave about 16 voxels or more along the longest axis."""
    longest = max(geometry.shape)
    return max(1, min(4, int(np.log2(max(longest, 1) / 16)) + 1))
