"""Sums of products of many columns, without rounding and at the speed of a matrix product.

Columns are rounded to a grid of 2**-48, each number by itself. On it a column is whole numbers, and these are digits
of 16 bits: a matrix product of digits in double precision is exact, in whatever order it adds, as long as it stays
below 2**53, which 2**20 rows do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.asking.exact_sums import FRACTION_BITS, Integers, exact_products, object_array

GRID_BITS = 48
ROWS_AT_ONCE = 1 << 20
DIGIT, DIGITS = 16, 4
LARGEST_FAST = 2.0 ** (DIGIT * DIGITS - GRID_BITS - 2)
"""Beyond, a number on the grid has more digits than 64 bits, and products are taken one by one."""

Values = NDArray[np.float64]


def on_grid(values: Values) -> Values:
    """To the nearest multiple of 2**-48; numbers of 32 and more are on it as they are."""
    scale = 2.0**GRID_BITS
    inside = np.abs(values) < 2.0**5
    return np.where(inside, np.rint(np.where(inside, values, 0.0) * scale) / scale, values)


def exact_gram(left: Values, right: Values) -> Integers:
    """(p, q) sums over rows of products of columns of (N, p) and (N, q), on the grid, in units of 2**-128.

    Raises HospitalError where a number is not finite, or beyond what can be added up.
    """
    largest = max((float(np.max(np.abs(one), initial=0.0)) for one in (left, right)), default=0.0)
    if not largest < LARGEST_FAST:
        return _one_by_one(left, right)
    total = object_array([0] * (left.shape[1] * right.shape[1]), (left.shape[1], right.shape[1]))
    for begin in range(0, len(left), ROWS_AT_ONCE):
        rows = slice(begin, begin + ROWS_AT_ONCE)
        total = np.asarray(total + _product(_digits(left[rows]), _digits(right[rows])), dtype=object)
    return total


def _product(left: list[Values], right: list[Values]) -> Integers:
    shift = FRACTION_BITS - 2 * GRID_BITS
    sums: list[NDArray[np.int64]] = [np.zeros((left[0].shape[1], right[0].shape[1]), np.int64)] * (2 * DIGITS - 1)
    for i, one in enumerate(left):
        for j, other in enumerate(right):
            sums[i + j] = sums[i + j] + (one.T @ other).astype(np.int64)
    found = np.zeros(sums[0].shape, dtype=object)
    for place, part in enumerate(sums):
        found = found + (part.astype(object) << (DIGIT * place + shift))
    return np.asarray(found, dtype=object)


def _digits(values: Values) -> list[Values]:
    """The lowest first; all but the highest are from 0 to 2**16 - 1, which carries the sign."""
    left = np.rint(values * 2.0**GRID_BITS).astype(np.int64)
    found = []
    for _ in range(DIGITS - 1):
        found.append((left & ((1 << DIGIT) - 1)).astype(np.float64))
        left = left >> DIGIT
    return [*found, left.astype(np.float64)]


def _one_by_one(left: Values, right: Values) -> Integers:
    width = right.shape[1]
    rows = [exact_products(np.repeat(left[:, i : i + 1], width, axis=1), right) for i in range(left.shape[1])]
    return np.asarray(np.stack(rows) if rows else np.zeros((0, width), dtype=object), dtype=object)
