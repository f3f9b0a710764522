"""How much room a hospital's share of noise needs, so that it is cut only with a chance that delta pays for.

A share leaves as whole numbers between -most and +most. Cutting the clipped sum to what is left beside the noise's
room changes no sensitivity, for it is done before the noise and brings no two sums farther apart. Cutting the noise
would be no post-processing of the sum over hospitals, which alone is promised: the chance that any value of any
hospital's noise goes beyond its room in any round is a distance in total variation (`common.privacy.variation`).

*The tail.* For whole R >= 0 the discrete Gaussian of parameter s has P[|Z| > R] <= P[|N(0, s^2)| > R] = erfc(R /
(s sqrt 2)): every weight beyond R is at most the integral of exp(-x^2 / (2 s^2)) over the unit interval below it, and
all weights together are at least sqrt(2 pi) s by Poisson's summation (Canonne, Kamath and Steinke 2020, prop. 25).
A union bound over values, hospitals and rounds follows. Beyond `largest_draw` the sampler itself never goes.
"""

from __future__ import annotations

from math import ceil, erfc, log, sqrt

import numpy as np
from numpy.typing import NDArray

from common.privacy.discrete_gaussian import largest_draw

_ROUNDING = 1 + 1e-9
"""Above the relative error of erfc in double precision."""


def tail_bound(sigma: float, room: int) -> float:
    """At least the chance that a discrete Gaussian of parameter sigma is beyond +-room."""
    return min(1.0, erfc(room / (sigma * sqrt(2))) * _ROUNDING)


def noise_room(sigma: float, draws: int, allowed: float) -> int:
    """The least room that any of so many draws leaves with a chance of at most `allowed`; 0 allows no draw at all."""
    most = largest_draw(sigma)
    if allowed <= 0 or draws * tail_bound(sigma, most) > allowed:
        return most
    low, high = -1, min(most, ceil(sigma * sqrt(2 * log(2 * max(draws, 1) / allowed)) + 2))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if draws * tail_bound(sigma, middle) <= allowed else (middle, high)
    return high


def share_of(
    clipped_sum: NDArray[np.floating], grid: float, largest: int, noise: NDArray[np.int64]
) -> NDArray[np.float32]:
    """(P,) what a hospital sends, in multiples of grid: its sum rounded, cut to +-largest, and its noise added.

    noise: (P,) whole numbers, a hospital's share of the noise.
    """
    steps = np.clip(np.rint(clipped_sum.astype(np.float64) / grid), -largest, largest)
    return np.asarray((steps + noise) * grid, np.float32)
