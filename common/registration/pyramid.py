"""Gaussian pyramids: the same cube in fewer voxels, each the Gaussian average about its centre."""

from __future__ import annotations

import numpy as np
import torch

from common.data.geometry import Geometry
from common.data.image import Image
from common.registration.filters import along_axes, reduction

SMALLEST_AXIS = 8
SMOOTHING = 0.5
"""Standard deviation in voxels of the coarser level: the usual half of the new spacing."""


def pyramid(image: Image, levels: int) -> list[Image]:
    """Coarsest first, the last is the image itself; spacing doubles at most from level to level."""
    return [coarser(image, 2**level) for level in reversed(range(levels))]


def coarser(image: Image, factor: float) -> Image:
    """float32, spaced `factor` times the finest axis' spacing along every axis that is finer than that."""
    shape = coarser_shape(image.geometry, factor)
    values = torch.from_numpy(np.ascontiguousarray(image.values, np.float32))
    if shape != image.geometry.shape:
        sizes = zip(image.geometry.shape, shape, strict=True)
        matrices = [reduction(old, new, SMOOTHING * old / new if new < old else 0.0) for old, new in sizes]
        values = along_axes(values[None], matrices)[0]
    return Image(values.numpy(), image.geometry.resized(shape))


def coarser_shape(geometry: Geometry, factor: float) -> tuple[int, ...]:
    """Sizes at `factor` times the smallest spacing; no axis grows, and none falls below 8 voxels by this."""
    wanted = factor * min(geometry.spacing_mm)
    sizes = zip(geometry.shape, geometry.spacing_mm, strict=True)
    return tuple(min(size, max(SMALLEST_AXIS, round(size * spacing / wanted))) for size, spacing in sizes)


def suited_levels(geometry: Geometry) -> int:
    """As many levels, at most 4, as leave about 16 voxels or more along the longest axis."""
    longest = max(geometry.shape)
    return max(1, min(4, int(np.log2(max(longest, 1) / 16)) + 1))
