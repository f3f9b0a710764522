"""The search of `nearest`: compiled where numba is installed, the same figures without."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]
Lengths = NDArray[np.float64]
Search = Callable[[Flags, Places, Places, Lengths], Lengths]


def search_with_numpy(target: Flags, places: Places, steps: Places, lengths: Lengths) -> Lengths:
    """(M,) length of the first step from each place that lands on the target; NaN where none does.

    target: (V,) bool, flattened with a margin that no step leaves. places: (M,); steps, lengths: (S,), sorted.
    """
    found = np.full(len(places), np.nan)
    waiting = np.arange(len(places))
    for step, length in zip(steps.tolist(), lengths.tolist(), strict=True):
        if not len(waiting):
            break
        hit = target[places[waiting] + step]
        found[waiting[hit]] = length
        waiting = waiting[~hit]
    return found


def _one_by_one(target: Flags, places: Places, steps: Places, lengths: Lengths) -> Lengths:
    found = np.full(len(places), np.nan)
    for index in range(len(places)):
        for number in range(len(steps)):
            if target[places[index] + steps[number]]:
                found[index] = lengths[number]
                break
    return found


def _compiled() -> Search | None:
    try:
        from numba import njit
    except ImportError:
        return None
    compiled: Search = njit(cache=True)(_one_by_one)
    return compiled


search_with_numba = _compiled()
search: Search = search_with_numba or search_with_numpy
