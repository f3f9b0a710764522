"""The voxels of a mask that have a neighbour outside it."""

from __future__ import annotations

import numpy as np

from common.errors import ImageError
from common.metrics.maps import Mask, as_mask, flattened


def border(mask: Mask) -> Mask:
    """The mask's voxels with a face neighbour outside it (4 of them in 2D, 6 in 3D); the image's edge is outside.

    mask: of any number of axes; what is not 0 is in it; the shape is kept. An axis of one voxel is no axis: of a
    lone slice the outline is that in its plane. Raises ImageError for NaN and for what is no numbers.
    """
    given = as_mask(mask)
    plane = flattened(np.atleast_1d(given))
    padded = np.pad(plane, 1)
    kept = flat_border(padded.reshape(-1), strides(padded.shape)).reshape(padded.shape)
    return np.asarray(kept[(slice(1, -1),) * plane.ndim]).reshape(given.shape)


def flat_border(flat: Mask, steps: tuple[int, ...]) -> Mask:
    """The same of a flattened mask with a margin of at least one voxel. steps: to the next voxel along each axis.

    Shifts of one long row are several times as fast as slices of a block.
    """
    inside = flat.copy()
    for step in steps:
        inside[step:] &= flat[:-step]
        inside[:-step] &= flat[step:]
    np.logical_not(inside, out=inside)
    inside &= flat
    return inside


def strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Voxels to the next along each axis, in C order."""
    return tuple(int(np.prod(shape[axis + 1 :], dtype=np.int64)) for axis in range(len(shape)))


def box(mask: Mask) -> tuple[slice, ...] | None:
    """The smallest block of voxels that holds all of the mask, what is not 0; None where it is empty."""
    return _box(as_mask(mask))


def _box(mask: Mask) -> tuple[slice, ...] | None:
    if not mask.ndim:
        return () if mask else None
    if not mask.size:
        return None
    found = np.flatnonzero(mask.reshape(len(mask), -1).any(axis=1))
    if not len(found):
        return None
    kept = slice(int(found[0]), int(found[-1]) + 1)
    if mask.ndim == 1:
        return (kept,)
    rest = _box(np.asarray(mask[kept].any(axis=0)))
    return None if rest is None else (kept, *rest)


def box_of_both(first: Mask, second: Mask) -> tuple[slice, ...] | None:
    """The smallest block that holds two masks of one shape; None where both are empty. Raises ImageError."""
    first, second = as_mask(first, "the first mask"), as_mask(second, "the second mask")
    if first.shape != second.shape:
        raise ImageError(f"two masks must have one shape; theirs are {first.shape} and {second.shape}.")
    return box_of_both_checked(first, second)


def box_of_both_checked(first: Mask, second: Mask) -> tuple[slice, ...] | None:
    """The same of bool masks of one shape."""
    boxes = [found for found in (_box(first), _box(second)) if found is not None]
    if not boxes:
        return None
    return tuple(slice(min(s.start for s in axis), max(s.stop for s in axis)) for axis in zip(*boxes, strict=True))
