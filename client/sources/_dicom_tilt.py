"""Slices of a tilted gantry, each moved sideways within its plane, so that all lie in one box."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from client.sources._dicom_geometry import Stack
from client.sources._dicom_pixels import MOST_VOXELS
from common.errors import SourceError

T = TypeVar("T", np.float32, np.uint8)


@dataclass(frozen=True, eq=False)
class Straightened:
    """image, labels: (columns, rows, slices), as large as all slices together. affine: of them, mm in RAS."""

    image: NDArray[np.float32]
    labels: NDArray[np.uint8]
    affine: NDArray[np.float64]


@dataclass(frozen=True)
class _Moved:
    """A slice from `start` on (in its pixels), in the shape of the box."""

    start: list[float]
    shape: tuple[int, int]

    def __call__(self, values: NDArray[T], order: Literal[0, 1], outside: float) -> NDArray[T]:
        moved: NDArray[np.float32] = ndimage.affine_transform(
            values.astype(np.float32),
            np.ones(2),
            np.array(self.start),
            self.shape,
            output=np.float32,
            order=order,
            mode="grid-constant",
            cval=outside,
        )
        return moved.astype(values.dtype, copy=False)


def straightened(image: NDArray[np.float32], labels: NDArray[np.uint8], stack: Stack) -> Straightened:
    """Linear for the image, nearest for labels; where a slice does not reach: the image's least value and class 0.

    Raises SourceError where the box would be too large.
    """
    shifts = stack.sideways_mm / np.array(stack.spacing_mm[:2])
    first = np.floor(shifts.min(axis=0)).astype(int)
    sides = (np.ceil(shifts.max(axis=0)).astype(int) - first + np.array(image.shape[:2])).tolist()
    shape = (sides[0], sides[1], image.shape[2])
    if prod(shape) > MOST_VOXELS:
        raise SourceError(f"would be {shape} voxels once it is straight; at most {MOST_VOXELS} are read")
    box, outlined = np.empty(shape, np.float32), np.empty(shape, np.uint8)
    for index, shift in enumerate(shifts):
        moved = _Moved((first - shift).tolist(), shape[:2])
        box[..., index] = moved(image[..., index], 1, float(image.min()))
        outlined[..., index] = moved(labels[..., index], 0, 0.0)
    move = np.eye(4)
    move[:2, 3] = first
    return Straightened(box, outlined, stack.affine @ move)
