"""The values of an update at places that are drawn anew in every round, the same for all hospitals: rand-k.

Places follow from the study's seed and the round: nobody tells them, they tell nothing of anybody's data, and values
of several hospitals add up, which those at places of each one's own choice would not (Konecny et al. 2016, section 3,
random mask; Stich et al. 2018).

With error feedback values travel as they are, and what was left out is added to the next update; without it they are
multiplied by P / k, so that their mean over the draws is the update.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.compression.bfloat16 import demand_bytes
from common.compression.largest_values import VALUE_BYTES, count_of
from common.seeding import generator
from common.sums.update import Vector


@dataclass(frozen=True)
class DrawnValues:
    """share: of the values that are sent. scaled: whether they are multiplied by P / k."""

    share: float
    seed: int
    number: int
    scaled: bool

    def size(self, length: int) -> int:
        """Values alone."""
        return VALUE_BYTES * count_of(self.share, length)

    def places(self, length: int) -> NDArray[np.int64]:
        """(k,) sorted."""
        rng = generator(self.seed, self.number, "places of a compressed update")
        return np.sort(rng.choice(length, count_of(self.share, length), replace=False, shuffle=False))

    def factor(self, length: int) -> float:
        """What sent values were multiplied by."""
        return length / count_of(self.share, length) if self.scaled and length else 1.0

    def gathered(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """(k,) what of (P,) is sent, in the same type."""
        kept: NDArray[np.floating] = values[self.places(values.size)]
        return kept * kept.dtype.type(self.factor(values.size))

    def spread(self, sent: NDArray[np.floating], length: int) -> NDArray[np.floating]:
        """(length,) with the sent values at their places, and 0 elsewhere, in the same type."""
        found = np.zeros(length, sent.dtype)
        found[self.places(length)] = sent
        return found

    def pack(self, values: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.uint8]:
        """The values, by their places."""
        return self.gathered(values).astype("<f4").view(np.uint8)

    def unpack(self, data: NDArray[np.uint8], length: int) -> Vector:
        """0 where nothing was sent."""
        demand_bytes(data, self.size(length))
        sent = np.ascontiguousarray(data).view("<f4")
        return self.spread(sent, length).astype(np.float32)
