"""Abnormalities planted into images: a blob with a soft edge, brighter or darker than what is there."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

SHAPE_GRID, TEXTURE_GRID = 5, 12
"""Places along an axis at which the outline is bent, and at which the inside is mottled."""
CENTRES = (0.2, 0.8)
BEND = 0.5
STEEPNESS = 4.0
"""Of the edge, in units of the blob's radius."""
MOTTLING = 0.25
"""Standard deviation inside, in those of the image."""
REPLACED = 0.8
"""Share of what was there that is levelled inside, at most."""
LIT = 0.05
"""Share of an image's range above its least value from which a pixel belongs to the body."""
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def numbers_of_plant(axes: int) -> int:
    """How many numbers tell one case's blob."""
    return 2 + int(2 * axes + SHAPE_GRID**axes + TEXTURE_GRID**axes)


def drawn_plant(
    rng: np.random.Generator,
    axes: int,
    *,
    share: float,
    radii: tuple[float, float],
    contrasts: tuple[float, float],
    darker: float = 0.5,
) -> NDArray[np.float32]:
    """(P,) contrast, share that is levelled, centre, radii, bends and mottles of one case's blob.

    share: of cases that have one; in others both first numbers are 0. radii: least and most, as shares of a side.
    contrasts: least and most, in the image's standard deviations. darker: share of blobs that are
    darker than the body, and not brighter.
    """
    begun = rng.random() < share
    sign = -1.0 if rng.random() < darker else 1.0
    contrast, levelled = sign * rng.uniform(*contrasts), rng.uniform(0, REPLACED)
    where = [rng.uniform(*CENTRES, axes), rng.uniform(*radii, axes)]
    fields = rng.standard_normal(SHAPE_GRID**axes + TEXTURE_GRID**axes)
    return np.concatenate([[begun * contrast, begun * levelled], *where, fields]).astype(np.float32)


def planted(images: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
    """(N, C, *S) images with their blobs, and (N, *S) int64 outlines. drawn: (N, P)."""
    axes, sides = images.ndim - 2, tuple(images.shape[2:])
    parts = [2, axes, axes, int(SHAPE_GRID**axes), int(TEXTURE_GRID**axes)]
    strength, centres, radii, bends, mottles = torch.split(drawn.to(images), parts, dim=1)
    distance = _distance(centres, radii, sides) + BEND * _field(bends, SHAPE_GRID, sides)
    present = strength[:, :1].abs().reshape(-1, 1, *(1,) * axes) > 0
    inside = torch.sigmoid(STEEPNESS * (1 - distance)) * (_lit(images) & present)
    contrast, levelled = (one.reshape(-1, 1, *(1,) * axes) for one in strength.unbind(1))
    mean, spread = _moments(images)
    change = spread * (contrast + MOTTLING * _field(mottles, TEXTURE_GRID, sides)) - levelled * (images - mean)
    return images + inside * change, (inside[:, 0] > 0.5).long()


def _distance(centres: Tensor, radii: Tensor, sides: tuple[int, ...]) -> Tensor:
    """(N, 1, *S) squared, in radii, from the centre of the blob."""
    axes, found = len(sides), torch.zeros(len(centres), 1, *sides, dtype=centres.dtype, device=centres.device)
    for axis, side in enumerate(sides):
        places = (torch.arange(side, dtype=centres.dtype, device=centres.device) + 0.5) / side
        along = ((places - centres[:, axis, None]) / radii[:, axis, None]).square()
        found = found + along.reshape(-1, 1, *(side if other == axis else 1 for other in range(axes)))
    return found


def _field(values: Tensor, grid: int, sides: tuple[int, ...]) -> Tensor:
    """(N, 1, *S) between values on a grid."""
    axes = len(sides)
    coarse = values.reshape(-1, 1, *(grid,) * axes)
    return interpolate(coarse, size=sides, mode=LINEAR[axes], align_corners=True)


def _lit(images: Tensor) -> Tensor:
    """(N, 1, *S) whether a pixel belongs to the body, by any channel."""
    flat = images.flatten(2)
    low, high = (one.reshape(*images.shape[:2], *(1,) * (images.ndim - 2)) for one in flat.aminmax(dim=2))
    return (images > low + LIT * (high - low)).any(1, keepdim=True)


def _moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """(N, C, 1, ...) mean and standard deviation of what belongs to the body."""
    lit, axes = _lit(images).to(images), tuple(range(2, images.ndim))
    count = lit.sum(axes, keepdim=True).clamp(min=1)
    mean = (images * lit).sum(axes, keepdim=True) / count
    return mean, (((images - mean).square() * lit).sum(axes, keepdim=True) / count).sqrt()
