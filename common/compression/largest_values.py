"""Only the largest values of an update, each with its place: top-k (Aji and Heafield 2017; Stich et al. 2018).

Which places are sent depends on the data: they tell where the model changed most, beside by how much. Without error
feedback what is not among the largest never arrives; with it, it is added to the next update until it is.

Places travel as one bit for each value of the model, or as 4 bytes for each that is sent, whichever is fewer: how
many bytes there are follows from the model and the share alone, never from what a hospital says.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from common.compression.bfloat16 import demand_bytes
from common.errors import WireError
from common.sums.update import Vector

VALUE_BYTES = PLACE_BYTES = 4


@dataclass(frozen=True)
class LargestValues:
    """share: of the values that are sent."""

    share: float

    def size(self, length: int) -> int:
        """Places and values."""
        return self._place_bytes(length) + VALUE_BYTES * count_of(self.share, length)

    def pack(self, values: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Places first, sorted, then the values there as float32."""
        places = places_of_largest(values, count_of(self.share, values.size))
        sent = values[places].astype("<f4").view(np.uint8)
        return np.concatenate([self._written(places, values.size), sent])

    def unpack(self, data: NDArray[np.uint8], length: int) -> Vector:
        """0 where nothing was sent. Places must be within the model, sorted, each but once, and as many as agreed."""
        demand_bytes(data, self.size(length))
        split = self._place_bytes(length)
        places = self._read(np.ascontiguousarray(data[:split]), length)
        found = np.zeros(length, np.float32)
        found[places] = np.ascontiguousarray(data[split:]).view("<f4")
        return found

    def _place_bytes(self, length: int) -> int:
        return min(-(-length // 8), PLACE_BYTES * count_of(self.share, length))

    def _is_bitmap(self, length: int) -> bool:
        return -(-length // 8) <= PLACE_BYTES * count_of(self.share, length)

    def _written(self, places: NDArray[np.int64], length: int) -> NDArray[np.uint8]:
        if not self._is_bitmap(length):
            return places.astype("<u4").view(np.uint8)
        bits = np.zeros(length, np.uint8)
        bits[places] = 1
        return np.packbits(bits, bitorder="little")

    def _read(self, data: NDArray[np.uint8], length: int) -> NDArray[np.int64]:
        if not self._is_bitmap(length):
            places = data.view("<u4").astype(np.int64)
            if (np.diff(places) <= 0).any() or (places >= length).any():
                raise WireError("places of a compressed update are not within the model, sorted and each but once.")
            return places
        places = np.flatnonzero(np.unpackbits(data, bitorder="little"))
        if places.size != count_of(self.share, length) or (places >= length).any():
            raise WireError("a compressed update does not mark as many places of the model as the study says.")
        return places


def count_of(share: float, length: int) -> int:
    """k: how many of `length` values a share is, 1 at least; 0 of none."""
    return min(length, max(1, ceil(share * length)))


def places_of_largest(values: NDArray[np.floating], count: int) -> NDArray[np.int64]:
    """(count,) sorted places of the largest absolute values; of equal ones the first."""
    sizes = np.abs(values)
    if count >= sizes.size:
        return np.arange(sizes.size)
    least = np.partition(sizes, sizes.size - count)[sizes.size - count]
    above, equal = np.flatnonzero(sizes > least), np.flatnonzero(sizes == least)
    return np.sort(np.concatenate([above, equal[: count - above.size]]))
