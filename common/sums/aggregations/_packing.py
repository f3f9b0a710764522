"""Several whole numbers in one coefficient, each with room for the sum of all hospitals': overflow cannot happen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.sums.aggregations._fixed_point import Totals, Words

Coefficients = NDArray[np.uint64]


@dataclass(frozen=True)
class Packing:
    """values: in one coefficient. value_bits: of one. hospitals: how many coefficients may be added up."""

    values: int
    value_bits: int
    hospitals: int

    @property
    def width(self) -> int:
        """Bits of the sum of `hospitals` words below 2**value_bits."""
        return (self.hospitals * ((1 << self.value_bits) - 1)).bit_length()

    @property
    def bits(self) -> int:
        """Bits of a sum of packed coefficients."""
        return self.values * self.width

    def coefficients(self, count: int) -> int:
        """How many coefficients `count` words take."""
        return -(-count // self.values)

    def pack(self, words: Words) -> Coefficients:
        """(m,) uint64, m = ceil(n / values), from (n,) words of value_bits: word i + k m is place k of the i-th."""
        length = self.coefficients(words.size)
        packed = np.zeros(length, np.uint64)
        for place in range(self.values):
            part = words[place * length : (place + 1) * length].astype(np.uint64)
            packed[: part.size] |= part << np.uint64(place * self.width)
        return packed

    def unpack(self, sums: Coefficients, count: int) -> Totals:
        """(count,) uint64: the sums of the words that were packed."""
        mask = np.uint64((1 << self.width) - 1)
        places = [(sums >> np.uint64(place * self.width)) & mask for place in range(self.values)]
        return np.concatenate(places)[:count]
