"""Thresholds: two-sided, and Otsu's, which parts an image's intensities where classes differ most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError
from common.metrics.doors import as_number, as_whole
from common.metrics.maps import as_array

Values = NDArray[np.floating]

MOST_BINS = 4096
"""Of a histogram: classes are looked for among pairs of bins."""


def between(values: Values, lower: float = -np.inf, upper: float = np.inf) -> NDArray[np.bool_]:
    """Where lower <= value <= upper. Raises ImageError where the limits are the wrong way round, and for NaN."""
    values = as_array(values, "the image")
    lower, upper = as_number(lower, "the lower threshold"), as_number(upper, "the upper threshold")
    if not lower <= upper:
        raise ImageError(f"the lower threshold must not lie above the upper one; they are {lower} and {upper}.")
    return np.asarray((values >= lower) & (values <= upper))


def otsu(values: Values, classes: int = 2, bins: int = 256) -> tuple[float, ...]:
    """classes - 1 thresholds that maximise the variance between classes (Otsu 1979, equation 18).

    Looks at a histogram of equal bins; a threshold is the upper edge of its class's last bin, so that the class
    above starts beyond it. 2 to 4 classes. Values that are not finite are left out. Raises ImageError for other
    classes and bins, and for values of fewer kinds than classes.
    """
    classes, bins = as_whole(classes, "classes of Otsu's method", 2, 4), as_whole(bins, "bins", 2, MOST_BINS)
    given = as_array(values, "the image", may_be_nan=True)
    found = given[np.isfinite(given)].astype(np.float64)
    if found.size == 0 or len(np.unique(found)) < classes:
        raise ImageError(f"an image needs {classes} different values to be parted into {classes} classes.")
    counts, edges = np.histogram(found, bins)
    middles = (edges[:-1] + edges[1:]) / 2
    mass = np.concatenate([[0], np.cumsum(counts)])
    moment = np.concatenate([[0], np.cumsum(counts * middles)])
    return tuple(float(edges[cut]) for cut in _best_cuts(mass, moment, classes))


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
