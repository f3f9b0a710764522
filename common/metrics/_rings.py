"""The search of `nearest`: compiled where numba is installed, the same figures without."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]
Lengths = NDArray[np.float64]
MOST_AT_ONCE = 4096
"""Voxels: many steps of few places are looked at together, where single ones would cost more to begin than to do."""

Search = Callable[[Flags, Places, Places, Lengths], Lengths]


def search_with_numpy(target: Flags, places: Places, steps: Places, lengths: Lengths) -> Lengths:
    """(M,) length of the first step from each place that lands on the target; NaN where none does.

    target: (V,) bool, flattened with a margin that no step leaves. places: (M,); steps, lengths: (S,), sorted.
    """
    found, waiting, at = np.full(len(places), np.nan), np.arange(len(places)), places
    number = 0
    while len(at) and number < len(steps):
        together = min(MOST_AT_ONCE // len(at) or 1, len(steps) - number)
        if together == 1:
            hit = target.take(at + steps[number])
            found[waiting[hit]] = lengths[number]
        else:
            hits = target.take(at[:, None] + steps[number : number + together])
            hit = hits.any(axis=1)
            found[waiting[hit]] = lengths[number + hits[hit].argmax(axis=1)]
        waiting, at, number = waiting[~hit], at[~hit], number + together
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
