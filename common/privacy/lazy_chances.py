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

RandomBytes = Callable[[int], bytes | memoryview]
"""That many bytes, independent and uniform."""

FIRST_BITS, REST_BITS = 16, 112
ONE = 1 << (FIRST_BITS + REST_BITS)
_UNDECIDED = -1
_ROUNDING = 2.0**-16
"""Far above the error of a chance in 16-bit steps worked out in float64, which is below 2^-34."""
_LONG_ROUNDING = 2.0**-30
"""The same with a uniform number's other bits as well."""
_SEARCHED_BITS = 64
"""Of a number and the thresholds, compared at once where 16 do not decide; equal ones are compared whole."""


@dataclass(frozen=True)
class ChanceTable:
    """Whole numbers 0, 1, ... by their chances.

    thresholds: the upper ends of their shares of 2^128; the last number has the rest. first: (65536,) int16, which it
    is by a uniform number's first 16 bits. heads: (len(thresholds),) uint64, the thresholds' own first 64.
    """

    thresholds: Sequence[int]
    first: NDArray[np.int16]
    heads: NDArray[np.uint64]

    @classmethod
    def of(cls, thresholds: Sequence[int]) -> ChanceTable:
        """thresholds: not falling."""
        starts = np.array([threshold >> REST_BITS for threshold in thresholds], np.int64)
        first = np.searchsorted(starts, np.arange(1 << FIRST_BITS)).astype(np.int16)
        first[starts[starts < first.size]] = _UNDECIDED
        largest, rest = (1 << _SEARCHED_BITS) - 1, FIRST_BITS + REST_BITS - _SEARCHED_BITS
        heads = np.array([min(threshold >> rest, largest) for threshold in thresholds], np.uint64)
        return cls(thresholds, first, heads)

    def draw(self, count: int, random_bytes: RandomBytes) -> NDArray[np.int16]:
        """(count,) independent numbers."""
        uniform = np.frombuffer(random_bytes(2 * count), "<u2")
        found: NDArray[np.int16] = self.first.take(uniform, mode="clip")
        undecided = np.flatnonzero(found == _UNDECIDED)
        found[undecided] = self._searched(_Lengthened.of(uniform[undecided], random_bytes))
        return found

    def _searched(self, numbers: _Lengthened) -> NDArray[np.int64]:
        """How many thresholds are at most each number."""
        heads = numbers.heads()
        found = np.searchsorted(self.heads, heads, "right")
        for at in np.flatnonzero(np.searchsorted(self.heads, heads, "left") != found).tolist():
            found[at] = bisect_right(self.thresholds, numbers.whole(at))
        return found


def happens(
    chances: NDArray[np.float64], exact: Callable[[int], int], random_bytes: RandomBytes
) -> NDArray[np.bool_]:
    """Which of (N,) events happen, each on its own.

    exact: a chance by its place, in steps of 2^-128, rounded down.
    """
    return happens_at_least(np.zeros(chances.size, np.uint16), lambda at: chances[at], exact, random_bytes)


def happens_at_least(
    surely: NDArray[np.uint16],
    chances: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    exact: Callable[[int], int],
    random_bytes: RandomBytes,
) -> NDArray[np.bool_]:
    """The same as `happens`, sooner where a lower bound is close: what it leaves open alone is worked out.

    surely: (N,) at least 3/2 less than the chances in steps of 2^-16; 0 where nothing is known. An event happens
    surely where a uniform number's first 16 bits are below it. chances: those of some places.
    """
    uniform = np.frombuffer(random_bytes(2 * surely.size), "<u2")
    left = np.flatnonzero(uniform >= surely)
    above = chances(left) * 2.0**FIRST_BITS - uniform[left]
    found = np.ones(surely.size, np.bool_)
    found[left] = above >= 1 + _ROUNDING
    open_ones = (above > -_ROUNDING) & (above < 1 + _ROUNDING)
    undecided = left[open_ones]
    numbers = _Lengthened.of(uniform[undecided], random_bytes)
    for place, (at, steps) in enumerate(zip(undecided.tolist(), above[open_ones].tolist(), strict=True)):
        apart = steps - numbers.rest(place)
        found[at] = apart > 0 if abs(apart) > _LONG_ROUNDING else numbers.whole(place) < exact(at)
    return found


@dataclass(frozen=True)
class _Lengthened:
    """Uniform numbers of 128 bits. octets: (N, 16) uint8, least first."""

    octets: NDArray[np.uint8]

    @classmethod
    def of(cls, first: NDArray[np.uint16], random_bytes: RandomBytes) -> _Lengthened:
        """Those that begin with these (N,) 16 bits."""
        length = REST_BITS // 8
        octets = np.empty((first.size, length + FIRST_BITS // 8), np.uint8)
        octets[:, :length] = np.frombuffer(random_bytes(length * first.size), np.uint8).reshape(-1, length)
        octets[:, length:] = first.astype("<u2").view(np.uint8).reshape(-1, FIRST_BITS // 8)
        return cls(octets)

    def heads(self) -> NDArray[np.uint64]:
        """(N,) their first 64 bits."""
        return self.octets[:, -_SEARCHED_BITS // 8 :].copy().view("<u8")[:, 0]

    def rest(self, at: int) -> float:
        """What one of them has beyond its first 16 bits, in steps of 2^-16."""
        return float(self.whole(at) % (1 << REST_BITS)) * 2.0**-REST_BITS

    def whole(self, at: int) -> int:
        """One of them."""
        return int.from_bytes(self.octets[at].tobytes(), "little")
