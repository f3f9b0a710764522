"""The voxels of a mask that have a neighbour outside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def border(mask: Mask, dimensions: int | None = None) -> Mask:
    """The mask's voxels with a face neighbour outside it (4 of them in 2D, 6 in 3D); the image's edge is outside.

    mask: an array of bool, the last `dimensions` axes (all by default) being those of an image; the shape is kept.
    """
    inside = mask.copy()
    for axis in range(mask.ndim - (mask.ndim if dimensions is None else dimensions), mask.ndim):
        first, last = [slice(None)] * mask.ndim, [slice(None)] * mask.ndim
        first[axis], last[axis] = slice(None, -1), slice(1, None)
        inside[tuple(first)] &= mask[tuple(last)]
        inside[tuple(last)] &= mask[tuple(first)]
        for edge in (0, -1):
            outer = [slice(None)] * mask.ndim
            outer[axis] = slice(edge, None) if edge else slice(0, 1)
            inside[tuple(outer)] = False
    return np.asarray(mask & ~inside)


def box(mask: Mask) -> tuple[slice, ...] | None:
    """The smallest block of voxels that holds all of the mask; None where it is empty."""
    slices = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        found = np.flatnonzero(mask.any(axis=others))
        if not len(found):
            return None
        slices.append(slice(int(found[0]), int(found[-1]) + 1))
    return tuple(slices)
