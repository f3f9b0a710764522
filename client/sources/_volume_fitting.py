"""Arrays of one size: cropped, or filled, about their centre."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)


def fitted(values: NDArray[T], sides: tuple[int, ...], fill: T) -> NDArray[T]:
    """(N, *sides) of (N, ...)."""
    into, out_of = _places(values.shape[1:], sides)
    if not sides or values.shape[1:] == sides:
        return values
    whole = np.full((len(values), *sides), fill, dtype=values.dtype)
    whole[(slice(None), *into)] = values[(slice(None), *out_of)]
    return whole


def unfitted(values: NDArray[T], shape: tuple[int, ...], fill: T) -> NDArray[T]:
    """(N, *shape), of which `fitted` made (N, *sides): what it cut off is `fill`, what it added is gone."""
    if values.shape[1:] == shape:
        return values
    into, out_of = _places(shape, values.shape[1:])
    whole = np.full((len(values), *shape), fill, dtype=values.dtype)
    whole[(slice(None), *out_of)] = values[(slice(None), *into)]
    return whole


def first_voxel(shape: tuple[int, ...], sides: tuple[int, ...]) -> tuple[int, ...]:
    """Where voxel (0, 0, 0) of what `fitted` gives lies in what it was given; below 0 where it was filled."""
    into, out_of = _places(shape, sides)
    return tuple(b.start - a.start for a, b in zip(into, out_of, strict=True))


def _places(shape: tuple[int, ...], sides: tuple[int, ...]) -> tuple[list[slice], list[slice]]:
    into, out_of = [], []
    for length, side in zip(shape, sides or shape, strict=True):
        shared = min(length, side)
        start, offset = (length - shared) // 2, (side - shared) // 2
        out_of.append(slice(start, start + shared))
        into.append(slice(offset, offset + shared))
    return into, out_of
