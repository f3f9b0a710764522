"""Images as they may be given, made one kind of array, or refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError
from common.metrics.doors import as_number, shown
from common.metrics.maps import as_array

Values = NDArray[np.float64]
NUMBERS = "biufc"
SMALLEST_RANGE, LARGEST_RANGE = 1e-150, 1e150
"""Whose squares are numbers."""


def as_values(given: Any, name: str) -> Values:
    """Real float64 of an array or tensor, of complex numbers the magnitude.

    Raises ImageError, naming it, for no numbers, for values that are not finite, and for none.
    """
    values = as_array(given, name, NUMBERS, may_be_nan=True)
    real = np.asarray(np.abs(values) if values.dtype.kind == "c" else values, np.float64)
    if not real.size or not real.ndim:
        raise ImageError(f"{name} must have an axis and a value at least; its shape is {real.shape}.")
    if not np.isfinite(real).all():
        raise ImageError(f"{name} must hold finite numbers; some of its values are not.")
    return real


def as_pair(image: Any, truth: Any) -> tuple[Values, Values]:
    """Both, of one shape. Raises ImageError where shapes differ, and as `as_values`."""
    one, true = as_values(image, "the image"), as_values(truth, "the truth")
    if one.shape != true.shape:
        raise ImageError(f"the image must have the truth's shape {true.shape}; its own is {one.shape}.")
    return one, true


def checked_range(data_range: float) -> float:
    """What values may span. Raises ImageError unless it is finite and above 0."""
    try:
        return as_number(data_range, "data_range", SMALLEST_RANGE, LARGEST_RANGE)
    except ImageError:
        raise ImageError(
            f"data_range must be finite and above 0: it is what an image's values may span, 1 or 255; it is "
            f"{shown(data_range)}."
        ) from None


def in_channels(values: Values, channels: bool) -> list[Values]:
    """Images of one channel, with axes of one voxel left out. channels: whether the first axis counts channels."""
    parts = list(values) if channels else [values]
    return [part.reshape([size for size in part.shape if size != 1] or [1]) for part in parts]
