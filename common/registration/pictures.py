"""Two images in one picture: fields of a checkerboard in turn, colours, halves, or their difference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError


def checkerboard(one: NDArray[np.float64], two: NDArray[np.float64], fields: int = 8) -> NDArray[np.float64]:
    """Values of one and the other in turn; `fields` along the longest axis. Edges run on where they agree."""
    _same_shape(one, two)
    edge = max(1, -(-max(one.shape) // fields))
    return np.asarray(np.where(np.add.reduce(np.indices(one.shape) // edge) % 2 == 0, one, two))


def difference(one: NDArray[np.float64], two: NDArray[np.float64]) -> NDArray[np.float64]:
    """one - two after both were scaled to [0, 1]: in [-1, 1], 0 where they agree."""
    _same_shape(one, two)
    return scaled(one) - scaled(two)


def scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """To [0, 1] from the 1st to the 99th percentile; zeros where the image is flat."""
    low, high = np.percentile(values, (1, 99))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.zeros(values.shape)
    return np.asarray(np.clip((values - low) / (high - low), 0, 1))


def _same_shape(one: NDArray[np.float64], two: NDArray[np.float64]) -> None:
    if one.shape != two.shape:
        raise ImageError(f"pictures of {one.shape} and {two.shape} cannot be compared: resample one of them first.")


def fused(one: NDArray[np.float64], two: NDArray[np.float64]) -> NDArray[np.float64]:
    """(*shape, 3) colours of [0, 1] after scaling: grey where both agree, magenta where `one` has more, green `two`.

    Magenta and green are told apart with every common colour blindness, for they differ in brightness too.
    """
    _same_shape(one, two)
    first, second = scaled(one), scaled(two)
    return np.stack([first, second, first], axis=-1)


def split(one: NDArray[np.float64], two: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of `one` in the first half of the first axis, of `two` in the other: outlines run on over the cut."""
    _same_shape(one, two)
    half = np.arange(one.shape[0]).reshape(-1, *[1] * (one.ndim - 1)) < one.shape[0] / 2
    return np.asarray(np.where(half, one, two))
