"""Sums of groups of a hospital's rows in doubles, the same in whatever order the rows come."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.asking.exact_sums import FRACTION_BITS, exact_sums_by

Values = NDArray[np.float64]


def sums_by(groups: NDArray[np.int64], rows: Values, size: int) -> Values:
    """(size, ...) sums of the (N, ...) rows of each group, rounded once."""
    exact = exact_sums_by(groups, rows, size)
    return np.array([value / (1 << FRACTION_BITS) for value in exact.ravel().tolist()]).reshape(exact.shape)


def means_by(groups: NDArray[np.int64], rows: Values, size: int) -> Values:
    """(size, F) means of (N, F) rows; every group has one."""
    counted = np.bincount(groups, minlength=size)[:, None]
    return np.asarray(sums_by(groups, rows, size) / counted)
