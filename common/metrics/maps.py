"""Masks and label maps as they may be given: of any dtype, byte order and layout, or refused by name.

Fast paths read single bits and bytes, so that a mask of 2s or of 64-bit numbers would be read as something else. So
whatever comes is made one kind of array here, at the doors of all figures: what is not 0 is in a mask, and a label
is a whole number, whether stored as integers or as real numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.errors import ImageError

Mask = NDArray[np.bool_]
Labels = NDArray[np.integer[Any]] | NDArray[np.bool_]

NUMBERS = "biuf"
LARGEST_EXACT = 1 << 53
"""Of whole numbers stored as real ones."""


def as_mask(given: ArrayLike, name: str = "the mask") -> Mask:
    """Where `given` is not 0; bool is passed on as it is. Raises ImageError, naming it, for NaN and for no number."""
    values = _numbers(given, name)
    return values if values.dtype == np.bool_ else np.asarray(values != 0)


def as_labels(given: ArrayLike, name: str = "the label map") -> Labels:
    """Whole numbers in the machine's order of bytes: bool and integers keep their size, real numbers become int64.

    Raises ImageError, naming it, for numbers that are not whole or beyond int64, and for no numbers.
    """
    values = _numbers(given, name)
    if values.dtype.kind == "f":
        whole = np.rint(values)
        if not np.array_equal(whole, values) or (values.size and float(np.abs(whole).max()) > LARGEST_EXACT):
            raise ImageError(f"{name} must hold labels, whole numbers; it holds others.")
        return np.asarray(whole, np.int64)
    if values.dtype.kind == "u" and values.dtype.itemsize == 8:
        if values.size and values.max() > np.iinfo(np.int64).max:
            raise ImageError(f"{name} must hold labels below 2^63; it holds {values.max()}.")
        return np.asarray(values, np.int64)
    return np.asarray(values, values.dtype.newbyteorder("="))


def true_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Axes along which an image reaches further than one voxel, or, where it has none, its last axis alone.

    A lone slice stored as a volume has two: across it there is no neighbour that an outline could run along.
    """
    return tuple(axis for axis, size in enumerate(shape) if size != 1) or (len(shape) - 1,)[: len(shape)]


def flattened(mask: Mask) -> Mask:
    """Without the axes that are none. The values are shared where they can be."""
    return mask.reshape([mask.shape[axis] for axis in true_axes(mask.shape)])


def _numbers(given: ArrayLike, name: str) -> NDArray[Any]:
    if isinstance(given, np.ma.MaskedArray):
        raise ImageError(f"{name} must be a plain array; it hides some of its values (a masked array).")
    values = np.asarray(given)
    if values.dtype.kind not in NUMBERS:
        raise ImageError(f"{name} must hold whole or real numbers or bool; its dtype is {values.dtype}.")
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise ImageError(f"{name} must hold numbers; some of its values are NaN.")
    return values
