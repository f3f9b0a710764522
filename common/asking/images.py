"""What a question may read of images: measurements of each case, as columns of its records.

Grids are fixed, so that hospitals' histograms add up, and no value of a case is told finer than its bin is wide.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.asking.records import Values

IMAGES = "images"
"""The word by which a policy permits all of these columns."""
BEGINNING = "image_"
CHANNELS, OUTLINED, SMALLEST = f"{BEGINNING}channels", f"{BEGINNING}outlined", f"{BEGINNING}smallest"
LOW, HIGH, AIR, FILLED = f"{BEGINNING}low", f"{BEGINNING}high", f"{BEGINNING}air", f"{BEGINNING}filled"
"""Of the first channel: the 0.5th and 99.5th percentile of outlined voxels and the 0.5th of all; the share of
the case that the box of what is not its least value fills."""
MOST_AXES = 3

Grid = NDArray[np.float64]


def side_name(axis: int) -> str:
    """Voxels along an axis."""
    return f"{BEGINNING}side_{axis}"


def spacing_name(axis: int) -> str:
    """In mm; NaN where it is not known."""
    return f"{BEGINNING}spacing_{axis}"


def is_of_images(name: str) -> bool:
    """Whether a column is one of these."""
    return name.startswith(BEGINNING)


def geometric(low: float, high: float, step: float) -> Grid:
    """Middles of bins, each `step` times the one before, 1 among them where it lies within."""
    first, last = np.ceil(np.log(low) / np.log(step)), np.floor(np.log(high) / np.log(step))
    return np.asarray(step ** np.arange(first, last + 1), np.float64)


SPACINGS = geometric(0.01, 30.0, 1.02)
"""Millimetres, to 1 %."""
SIDES = np.unique(np.concatenate([np.arange(1.0, 129.0), np.round(geometric(128.0, 8192.0, 1.02))]))
"""Voxels: each up to 128, beyond it to 1 %."""
SHARES = geometric(1e-7, 1.0, 1.25)
COUNTS = geometric(1.0, 1e9, 2.0)
"""Voxels of a structure, within a factor of the square root of 2."""
BRIGHTNESS = np.sinh(0.03 * np.arange(-450, 451))
"""Of any scale: to 1.5 % where it is large, to 0.015 about 0."""


def nearest(values: Values, grid: Grid) -> NDArray[np.int64]:
    """(N,) the bin of every number; values beyond the grid are in its last bins. No value may be NaN."""
    middles = (grid[1:] + grid[:-1]) / 2
    return np.searchsorted(middles, np.asarray(values, np.float64), side="right").astype(np.int64)


def counted(values: NDArray[np.float64], grid: Grid) -> NDArray[np.int64]:
    """(bins + 1,) how many numbers are in each bin, and last how many are not known."""
    known = values[~np.isnan(values)]
    found = np.bincount(nearest(known, grid), minlength=len(grid))
    return np.append(found, len(values) - len(known)).astype(np.int64)
