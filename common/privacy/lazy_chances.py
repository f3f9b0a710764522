"""Chances of 128 bits, of which 16 decide nearly always: the others are drawn where these do not.

A uniform number of 128 bits is compared with a threshold, itself known to 128 bits; a float never decides, for where
what it says and its error leave a doubt, whole numbers are compared.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RandomBytes = Callable[[int], bytes]
"""That many bytes, independent and uniform."""

FIRST_BITS, REST_BITS = 16, 112
ONE = 1 << (FIRST_BITS + REST_BITS)
_UNDECIDED = -1
_ROUNDING = 2.0**-16
"""Far above the error of a chance in 16-bit steps worked out in float64, which is below 2^-34."""
_ROUGH = 2.0**-4
"""Above the error of a lower bound in float32, and of its difference from a uniform number."""


@dataclass(frozen=True)
class ChanceTable:
    """Whole numbers 0, 1, ... by their chances.

    thresholds: the upper ends of their shares of 2^128; the last number has the rest. first: (65536,) int16, which it
    is by a uniform number's first 16 bits.
    """

    thresholds: Sequence[int]
    first: NDArray[np.int16]

    @classmethod
    def of(cls, thresholds: Sequence[int]) -> ChanceTable:
        """thresholds: not falling."""
        starts = np.array([threshold >> REST_BITS for threshold in thresholds], np.int64)
        first = np.searchsorted(starts, np.arange(1 << FIRST_BITS)).astype(np.int16)
        first[starts[starts < first.size]] = _UNDECIDED
        return cls(thresholds, first)

    def draw(self, count: int, random_bytes: RandomBytes) -> NDArray[np.int16]:
        """(count,) independent numbers."""
        uniform = np.frombuffer(random_bytes(2 * count), "<u2")
        found: NDArray[np.int16] = self.first.take(uniform, mode="clip")
        undecided = np.flatnonzero(found == _UNDECIDED)
        numbers = _lengthened(uniform[undecided], random_bytes)
        found[undecided] = [bisect_right(self.thresholds, number) for number in numbers]
        return found


def happens(
    chances: NDArray[np.float64], exact: Callable[[int], int], random_bytes: RandomBytes
) -> NDArray[np.bool_]:
    """Which of (N,) events happen, each on its own.

    exact: a chance by its place, in steps of 2^-128, rounded down.
    """
    none = np.full(chances.size, -1, np.float32)
    return happens_at_least(none, lambda at: chances[at], exact, random_bytes)


def happens_at_least(
    least: NDArray[np.float32],
    chances: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    exact: Callable[[int], int],
    random_bytes: RandomBytes,
) -> NDArray[np.bool_]:
    """The same as `happens`, sooner where a lower bound is close: what it leaves open alone is worked out.

    least: (N,) no more than the chances in steps of 2^-16, but for 1/32. chances: those of some places.
    """
    uniform = np.frombuffer(random_bytes(2 * least.size), "<u2")
    found: NDArray[np.bool_] = least - uniform >= 1 + _ROUGH
    left = np.flatnonzero(~found)
    above = chances(left) * 2.0**FIRST_BITS - uniform[left]
    found[left] = above >= 1 + _ROUNDING
    undecided = left[~found[left] & (above > -_ROUNDING)]
    numbers = _lengthened(uniform[undecided], random_bytes)
    for at, number in zip(undecided.tolist(), numbers, strict=True):
        found[at] = number < exact(at)
    return found


def _lengthened(first: NDArray[np.uint16], random_bytes: RandomBytes) -> list[int]:
    """The uniform numbers of 128 bits that begin with these 16."""
    length = REST_BITS // 8
    octets = random_bytes(length * first.size)
    rests = (int.from_bytes(octets[start : start + length], "little") for start in range(0, len(octets), length))
    return [head << REST_BITS | rest for head, rest in zip(first.tolist(), rests, strict=True)]
