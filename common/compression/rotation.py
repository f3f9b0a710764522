"""A turn of updates that all hospitals share, so that one step suits all values: few bits lose less in a sum.

Most values of an update are far smaller than its largest, and a step that all share would round them to nothing.
Turned by random signs and a Hadamard matrix over sqrt(B), every value is a mean of B of them: all are about as large
as the update's length over sqrt(P), and spread as noise is (Suresh et al. 2017, "Distributed mean estimation with
limited communication", section 3). The turn is orthonormal and linear: lengths stay, sums of turned updates are
turned sums, and the coordinator turns back what it read. Signs follow from the study's seed and the round.

Values are dealt to an odd number of blocks of B like cards, so that what is near, or repeats itself, comes into
different ones. B is a power of two, at most `LARGEST_BLOCK` and a sixteenth of P, so that the zeros that fill up the
last deal are few.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from common.seeding import generator

LARGEST_BLOCK = 1 << 10
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Rotation:
    """Of round `number` of a study with that seed."""

    seed: int
    number: int

    def turned(self, values: NDArray[np.floating]) -> Values:
        """(turned_length,) of (P,)."""
        block, columns = _form(values.size)
        dealt = np.zeros(block * columns)
        dealt[: values.size] = values
        dealt *= self._signs(dealt.size)
        return _mixed(dealt.reshape(block, columns)).reshape(-1)

    def turned_back(self, values: NDArray[np.floating], length: int) -> Values:
        """(length,) of (turned_length,)."""
        block, columns = _form(length)
        mixed = _mixed(np.array(values, np.float64).reshape(block, columns)).reshape(-1)
        return (mixed * self._signs(mixed.size))[:length]

    def _signs(self, size: int) -> NDArray[np.int8]:
        drawn = generator(self.seed, self.number, "signs of a turned update").bytes(-(-size // 8))
        return 1 - 2 * np.unpackbits(np.frombuffer(drawn, np.uint8))[:size].astype(np.int8)


def turned_length(length: int) -> int:
    """How many values a turned update has."""
    block, columns = _form(length)
    return block * columns


def _form(length: int) -> tuple[int, int]:
    """B, and how many blocks; 1 and 0 of nothing."""
    block = min(LARGEST_BLOCK, 1 << max(0, (length // 16).bit_length() - 1))
    columns = -(-length // block)
    return block, columns if block == 1 else columns | 1


def _mixed(dealt: Values) -> Values:
    """In place, (B, n): each column times the Hadamard matrix over sqrt(B), which is its own inverse."""
    block, columns = dealt.shape
    half = 1
    while half < block:
        pairs = dealt.reshape(block // (2 * half), 2, half, columns)
        difference = pairs[:, 0] - pairs[:, 1]
        pairs[:, 0] += pairs[:, 1]
        pairs[:, 1] = difference
        half *= 2
    dealt /= sqrt(block)
    return dealt
