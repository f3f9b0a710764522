"""Doubles in their order, as whole numbers: where to cut a range of them next.

A double's key is its bits read as a whole number, less than 0 where it is negative: keys are in the order of the
doubles, and next to each other where those are. Halving keys finds any double in 64 steps, whatever its size.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor, log10

import numpy as np
from numpy.typing import NDArray

from common.errors import HospitalError

LARGEST = float(np.finfo(np.float64).max)
LEAST_CUTS, MOST_CUTS = 256, 4096
_SIGN = 1 << 63


def key_of(value: float) -> int:
    """0 of both zeros."""
    bits = int(np.float64(value).view(np.uint64))
    return -(bits - _SIGN) if bits >= _SIGN else bits


def double_of(key: int) -> float:
    """The double of a key."""
    found = np.uint64(abs(key)).view(np.float64)
    return float(-found if key < 0 else found)


LOWEST, HIGHEST = key_of(-LARGEST) - 1, key_of(LARGEST)
"""Every finite double's key is above the first, and not above the second."""


def cuts_within(low: int, high: int, pieces: int) -> set[int]:
    """Keys strictly between two, which part what is above `low` and not above `high` in about so many pieces.

    The shortest decimal number there becomes a piece of its own: what people write down mostly is one.
    """
    span = high - low
    cuts = {low + span * piece // pieces for piece in range(1, pieces)}
    decimal = key_of(shortest_decimal(double_of(low) if low > LOWEST else -LARGEST, double_of(high)))
    return {cut for cut in (*cuts, decimal - 1, decimal) if low < cut < high}


def cuts_a_round(rows: int) -> int:
    """Into how many pieces a round parts what is searched for: the more there are to be told apart, the more."""
    return min(MOST_CUTS, max(LEAST_CUTS, 8 * rows))


def shortest_decimal(low: float, high: float) -> float:
    """Of the numbers above `low` and not above `high`, one of the fewest digits after the point."""
    if low < 0 <= high:
        return 0.0
    width = Fraction(high) - Fraction(low)
    exponent = ceil(log10(width)) + 1 if width < LARGEST else 308
    while True:
        unit = Fraction(10) ** exponent
        multiple = floor(Fraction(high) / unit) * unit
        if multiple > low and (value := float(multiple)) > low:
            return min(value, high)
        exponent -= 1


def demand_finite(values: NDArray[np.float64]) -> None:
    """Raise HospitalError where a value is infinite: it has no place among numbers."""
    if np.any(np.isinf(values)):
        raise HospitalError("a value is not finite.")


def bins_of(values: NDArray[np.float64], cuts: NDArray[np.float64]) -> NDArray[np.int64]:
    """(N,) in which piece each value lies; a value that is a cut lies in the piece that ends there."""
    return np.searchsorted(cuts, values, side="left").astype(np.int64)
