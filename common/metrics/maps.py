"""Masks and label maps as they may be given: of any dtype, byte order and layout, or refused by name.

Fast paths read single bits and bytes, so that a mask of 2s or of 64-bit numbers would be read as something else. So
whatever comes is made one kind of array here, at the doors of all figures: what is not 0 is in a mask, and a label
is a whole number, whether stored as integers or as real numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError, first_line

Mask = NDArray[np.bool_]
Labels = NDArray[np.integer[Any]] | NDArray[np.bool_]

NUMBERS = "biuf"
LARGEST_EXACT = 1 << 53
"""Of whole numbers stored as real ones."""


def as_mask(given: Any, name: str = "the mask") -> Mask:
    """Where `given` is not 0; bool is passed on as it is. Raises ImageError, naming it, for NaN and for no number."""
    values = as_array(given, name)
    return values if values.dtype == np.bool_ else np.asarray(values != 0)


def as_labels(given: Any, name: str = "the label map") -> Labels:
    """Whole numbers in the machine's order of bytes: bool and integers keep their size, real numbers become int64.

    Raises ImageError, naming it, for numbers that are not whole or beyond int64, and for no numbers.
    """
    values = as_array(given, name)
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


def as_array(given: Any, name: str, kinds: str = NUMBERS, may_be_nan: bool = False) -> NDArray[Any]:
    """bool, whole or real numbers, none NaN, as an array: of arrays, lists, numbers and tensors on any device.

    The values are shared where they can be. kinds: of dtypes that may be. Raises ImageError, naming it, for all else.
    """
    if isinstance(given, np.ma.MaskedArray):
        raise ImageError(f"{name} must be a plain array; it hides some of its values (a masked array).")
    try:
        values = np.asarray(_detached(given) if hasattr(given, "detach") else given)
    except Exception as error:  # whatever a foreign type raises on its way to an array, it is none
        kind = type(given).__name__
        raise ImageError(f"{name} must be an array of numbers; it is of type {kind}: {first_line(error)}") from error
    if values.dtype.kind not in kinds:
        what = "numbers" if "c" in kinds else "whole or real numbers or bool"
        raise ImageError(f"{name} must hold {what}; its dtype is {values.dtype}.")
    if values.dtype.kind == "f" and not may_be_nan and np.isnan(values).any():
        raise ImageError(f"{name} must hold numbers; some of its values are NaN.")
    return _of_clean_bytes(values) if values.dtype == np.bool_ else values


def _of_clean_bytes(values: Mask) -> Mask:
    """bool whose bytes are 0 and 1: a view of a mask of 255s as bool has others, which numpy counts and shifts."""
    bytes_ = values.view(np.uint8)
    return np.asarray(bytes_ != 0) if values.size and bytes_.max() > 1 else values


def _detached(tensor: Any) -> Any:
    """A tensor of torch that numpy can read, which knows no bfloat16."""
    own = tensor.detach().cpu()
    return own.double() if own.is_floating_point() else own
