"""Whole numbers modulo a power of two, and their bytes: as few as hold the sum of all hospitals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import StudyError, WireError

Words = NDArray[np.uint32]
WIDTHS = (1, 2, 3, 4)
"""Bytes a word may take on the wire."""
BLOCK_WORDS = 1 << 15


@dataclass(frozen=True)
class Ring:
    """Numbers modulo 2**(8 width), which divides 2**32: sums are made modulo 2**32 and cut when packed."""

    width: int = 4

    @classmethod
    def holding(cls, value_bits: int, hospitals: int) -> Ring:
        """The smallest ring in which numbers of `value_bits` from that many hospitals add up without wrapping.

        Raises StudyError where 32 bits do not hold the sum.
        """
        needed = value_bits + (hospitals - 1).bit_length()
        for width in WIDTHS:
            if needed <= 8 * width:
                return cls(width)
        raise StudyError(
            f"numbers of {value_bits} bits from {hospitals} hospitals add up to {needed} bits, and a word has 32: "
            f"aggregation.value_bits must be at most {cls.most_bits(hospitals)}."
        )

    @staticmethod
    def most_bits(hospitals: int) -> int:
        """Of numbers of so many hospitals whose sum has room in 32 bits."""
        return 32 - (hospitals - 1).bit_length()

    def pack(self, words: Words) -> NDArray[np.uint8]:
        """(n,) uint32 to (width n,) bytes, least significant first; higher bits are cut off."""
        octets = np.ascontiguousarray(words, dtype="<u4").view(np.uint8)
        if self.width == 4:
            return octets
        if self.width == 3:
            return _three_bytes(octets.view("<u4"))
        packed = np.empty((words.size, self.width), np.uint8)
        for place in range(self.width):
            packed[:, place] = octets[place::4]
        return packed.reshape(-1)

    def unpack(self, data: NDArray[np.uint8] | None, length: int) -> Words:
        """(length,) uint32 from their bytes. Raises WireError where the size is wrong."""
        if data is None or data.size != self.width * length:
            raise WireError(f"{0 if data is None else data.size} bytes came for {length} words of {self.width}.")
        if self.width == 4 or not length:
            return np.ascontiguousarray(data).view("<u4").astype(np.uint32)
        if self.width == 1:
            return data.astype(np.uint32)
        # Each word is read with the first byte of the next, which is then cut off; the last has no next.
        packed, words = np.ascontiguousarray(data), np.empty(length, np.uint32)
        inner = np.ndarray((length - 1,), "<u4", packed, strides=(self.width,))
        np.bitwise_and(inner, np.uint32((1 << 8 * self.width) - 1), out=words[:-1])
        words[-1] = int.from_bytes(packed[-self.width :].tobytes(), "little")
        return words

    def residues(self, words: Words) -> Words:
        """Words modulo 2**(8 width)."""
        return words if self.width == 4 else words & np.uint32((1 << 8 * self.width) - 1)


def _three_bytes(words: Words) -> NDArray[np.uint8]:
    """(3 n,) of (n,): each word whole, over the last byte of the one before, in blocks that stay in the cache.

    NumPy copies from the first word to the last; a test holds it to that.
    """
    packed = np.empty(3 * words.size + 1, np.uint8)
    places = np.ndarray((words.size,), "<u4", packed, strides=(3,))
    for start in range(0, words.size, BLOCK_WORDS):
        block = slice(start, start + BLOCK_WORDS)
        places[block] = words[block]
    return packed[:-1]
