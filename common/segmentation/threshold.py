"""Thresholds: two-sided, and Otsu's, which parts an image's intensities where classes differ most."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError
from common.metrics.maps import as_array
from common.segmentation.doors import real_number, whole_number

Values = NDArray[np.floating] | NDArray[np.integer] | NDArray[np.bool_]
MOST_CLASSES, MOST_BINS = 4, 2048


def between(values: Values, lower: float = -np.inf, upper: float = np.inf) -> NDArray[np.bool_]:
    """Where lower <= value <= upper, compared as exact numbers.

    Args:
        values: (*S), of every real dtype; NaN lies nowhere.
        lower: the least that counts.
        upper: the largest.

    Returns:
        (*S) bool.

    Raises:
        ImageError: limits the wrong way round or no numbers, or values that are not real.
    """
    given = as_array(values, "the image", may_be_nan=True)
    low, high = real_number("the lower threshold", lower), real_number("the upper threshold", upper)
    if not low <= high:
        raise ImageError(f"the lower threshold must not lie above the upper one; they are {lower} and {upper}.")
    if given.dtype.kind == "f":
        exact = (
            given.astype(np.float64, copy=False) if given.dtype.itemsize < np.dtype(np.float64).itemsize else given
        )
        return np.asarray((exact >= low) & (exact <= high))
    whole = given.astype(np.uint8) if given.dtype.kind == "b" else given
    return np.asarray((whole >= _whole(low, math.ceil)) & (whole <= _whole(high, math.floor)))


def otsu(values: Values, classes: int = 2, bins: int = 256) -> tuple[float, ...]:
    """classes - 1 thresholds that maximise the variance between classes (Otsu 1979, equation 18).

    Looks at a histogram of equal bins. A threshold lies between the largest value of its class and the upper edge of
    that value's bin, so that no value equals it, and > and >= give the same parts.

    Args:
        values: (*S), of every real dtype; NaN and infinite values are left out.
        classes: 2 to 4.
        bins: 2 to 2048.

    Returns:
        classes - 1 of them, rising.

    Raises:
        ImageError: other numbers of them, or values of fewer kinds, or in fewer bins, than classes, as where one
            voxel lies far beyond the rest: such thresholds would say nothing.
    """
    parts = whole_number("classes of Otsu's method", classes, 2, MOST_CLASSES)
    whole_number("bins", bins, 2, MOST_BINS)
    given = as_array(values, "the image", may_be_nan=True)
    found = given[np.isfinite(given)].astype(np.float64)
    if found.size == 0 or len(np.unique(found)) < parts:
        raise ImageError(f"an image needs {parts} different values to be parted into {parts} classes.")
    shares = _shares(found)
    counts, edges = np.histogram(shares, bins, (0.0, 1.0))
    if np.count_nonzero(counts) < parts:
        raise ImageError(
            f"the image's values fall into {np.count_nonzero(counts)} of {bins} equal bins, too few for {parts} "
            "classes: a few lie far from the rest. Clip them first, or ask for more bins."
        )
    middles = (edges[:-1] + edges[1:]) / 2
    mass = np.concatenate([[0], np.cumsum(counts)])
    moment = np.concatenate([[0], np.cumsum(counts * middles)])
    return tuple(_threshold(found, shares, float(edges[cut])) for cut in _best_cuts(mass, moment, parts))


def classes_of(values: Values, thresholds: tuple[float, ...]) -> NDArray[np.int64]:
    """(*S) number of thresholds that a value reaches: 0 below all of them. NaN is 0."""
    given = as_array(values, "the image", may_be_nan=True)
    return np.asarray(sum((between(given, one) for one in thresholds), np.zeros(given.shape, np.int64)), np.int64)


def _whole(limit: float, rounded: Any) -> float:
    return int(rounded(limit)) if math.isfinite(limit) else limit


def _shares(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """From 0, the least value, to 1; neither the largest numbers nor the smallest differences break it."""
    low, high = float(found.min()), float(found.max())
    half = 1.0 if math.isfinite(high - low) else 0.5
    return np.asarray((half * found - half * low) / (half * high - half * low))


def _threshold(found: NDArray[np.float64], shares: NDArray[np.float64], edge: float) -> float:
    below = shares < edge
    lower, upper = float(found[below].max()), float(found[~below].min())
    low, high = float(found.min()), float(found.max())
    for above in (low * (1 - edge) + high * edge, upper):
        middle = lower / 2 + above / 2
        if lower < middle < upper:
            return middle
    return upper


def _best_cuts(mass: NDArray[np.float64], moment: NDArray[np.float64], classes: int) -> tuple[int, ...]:
    """Bins where classes end. Maximising sum (moment of class)^2 / mass of class is Otsu's criterion (Liao 2001)."""
    places = np.arange(len(mass))
    start, end = np.meshgrid(places, places, indexing="ij")
    width = mass[end] - mass[start]
    gain = np.where(width > 0, (moment[end] - moment[start]) ** 2 / np.maximum(width, 1), -np.inf)
    last = len(mass) - 1
    best = gain[0]
    choices = []
    for _ in range(classes - 1):
        table = best[:, None] + gain
        choices.append(table.argmax(axis=0))
        best = table.max(axis=0)
    cuts = [last]
    for choice in reversed(choices):
        cuts.append(int(choice[cuts[-1]]))
    return tuple(sorted(cuts[1:]))
