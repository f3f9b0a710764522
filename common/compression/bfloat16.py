"""Updates in bfloat16: the upper half of float32, rounded to the nearest, ties to even; 2 bytes a value.

A value's relative error is at most 2**-8 (Kalamkar et al. 2019, "A study of BFLOAT16 for deep learning training").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import WireError
from common.sums.update import Vector

LARGEST = 0x7F7F
"""The largest finite bfloat16."""


@dataclass(frozen=True)
class Bfloat16:
    """Nothing is drawn: the same values give the same bytes."""

    def size(self, length: int) -> int:
        """Two bytes a value."""
        return 2 * length

    def pack(self, values: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.uint8]:
        """(2 P,) bytes, the least significant first. Values beyond the largest finite one are cut to it."""
        bits = values.astype("<f4").view(np.uint32)
        sign, size = bits >> 16 & 0x8000, bits & 0x7FFFFFFF
        nearest = np.minimum((size + 0x7FFF + (size >> 16 & 1)) >> 16, LARGEST)
        written: NDArray[np.uint8] = (sign | nearest).astype("<u2").view(np.uint8)
        return written

    def unpack(self, data: NDArray[np.uint8], length: int) -> Vector:
        """(length,) float32; infinities and NaN stay what they are."""
        demand_bytes(data, self.size(length))
        return widened(np.ascontiguousarray(data).view("<u2"))


def widened(bits: NDArray[np.uint16]) -> Vector:
    """bfloat16, as its bits, in float32: nothing is lost."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def rounded_up(values: Vector) -> NDArray[np.uint16]:
    """The least bfloat16 that is no smaller, as its bits; values are 0 or more, and finite."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    upper: NDArray[np.uint16] = np.minimum((bits.astype(np.uint64) + 0xFFFF) >> 16, LARGEST).astype(np.uint16)
    return upper


def demand_bytes(data: NDArray[np.uint8], size: int) -> None:
    """Raise WireError unless so many came: nothing that a hospital says decides how much is read."""
    if data.size != size:
        raise WireError(f"{data.size} bytes of a compressed update came; the study's model takes {size}.")
