"""A joint histogram and its slopes, point by point: compiled where numba is installed, absent without.

Sixteen sums a point instead of a product with all bins; `information` has the same in torch, equal but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]
"""(N,) float32 or float64."""
MARGIN = 2
"""Empty bins at each end, so that no window is cut."""


@dataclass(frozen=True)
class Kernels:
    """added_up: moving, fixed, share, bins -> (bins, bins) float64. slopes: the same and its derivative -> (N,)."""

    added_up: Callable[[Values, Values, Values, int], NDArray[np.float64]]
    slopes: Callable[[Values, Values, Values, NDArray[np.float64]], NDArray[np.float64]]


def _added_up(moving: Values, fixed: Values, share: Values, bins: int) -> NDArray[np.float64]:
    total = np.zeros((bins, bins))
    for point in range(len(moving)):
        if share[point] != 0:
            row, one = _place(moving[point], bins)
            column, two = _place(fixed[point], bins)
            for up in range(4):
                part = _weight(one, up) * share[point]
                for along in range(4):
                    total[row + up, column + along] += part * _weight(two, along)
    return total


def _slopes(moving: Values, fixed: Values, share: Values, pull: NDArray[np.float64]) -> NDArray[np.float64]:
    bins = len(pull)
    found = np.zeros(len(moving))
    for point in range(len(moving)):
        if share[point] != 0 and 0 <= moving[point] <= 1:
            row, one = _place(moving[point], bins)
            column, two = _place(fixed[point], bins)
            total = 0.0
            for along in range(4):
                pulled = 0.0
                for up in range(4):
                    pulled += pull[row + up, column + along] * _bend(one, up)
                total += pulled * _weight(two, along)
            found[point] = total * share[point] * (bins - 2 * MARGIN)
    return found


def _place(value: float, bins: int) -> tuple[int, float]:
    """The first of four bins that a value's window reaches, and how far the value lies past the second."""
    place = MARGIN - 0.5 + min(max(value, 0.0), 1.0) * (bins - 2 * MARGIN)
    below = min(max(int(place), 1), bins - 3)
    return below - 1, place - below


def _weight(f: float, which: int) -> float:
    """The cubic B-spline at -1 - f, -f, 1 - f or 2 - f."""
    if which == 0:
        return (1 - f) ** 3 / 6
    if which == 1:
        return (3 * f**3 - 6 * f**2 + 4) / 6
    if which == 2:
        return (-3 * f**3 + 3 * f**2 + 3 * f + 1) / 6
    return f**3 / 6


def _bend(f: float, which: int) -> float:
    """Its derivative by f."""
    if which == 0:
        return -((1 - f) ** 2) / 2
    if which == 1:
        return (3 * f**2 - 4 * f) / 2
    if which == 2:
        return (1 + 2 * f - 3 * f**2) / 2
    return f**2 / 2


def compiled() -> Kernels | None:
    """None without numba."""
    try:
        from numba import njit
        from numba.extending import register_jitable
    except ImportError:
        return None
    for part in (_place, _weight, _bend):
        register_jitable(part)
    return Kernels(njit(cache=True)(_added_up), njit(cache=True)(_slopes))


KERNELS = compiled()
