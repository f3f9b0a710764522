"""Updates in whole numbers of 8 or 4 bits, with one scale for every block of values, rounded up or down at random.

A block's scale s is its largest absolute value over L = 2**(bits - 1) - 1, rounded up to bfloat16, so that nothing is
cut; x / s goes up with the chance of its fractional part, so that the mean of many roundings is x (Alistarh et al.
2017, QSGD, section 3, with the largest value in the place of the 2-norm; Suresh et al. 2017, section 2.2, by blocks).

*Error.* Of one value it is below s, and its variance at most s**2 / 4: of a block of B values no more than
B / (4 L**2) of its squared norm, up to the scale's own rounding. That is below 1 for up to 64,000 values of 8 bits
and up to 190 of 4, which is what error feedback needs of a compressor (Karimireddy et al. 2019, assumption A).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.compression.bfloat16 import demand_bytes, rounded_up, widened
from common.compression.whole_steps import largest_of
from common.errors import WireError
from common.sums.update import Vector

INFINITE = 0x7F80
AT_ONCE = 1 << 16
"""Values that are rounded together: in memory that stays in the cache, however long an update is."""


@dataclass(frozen=True)
class ScaledIntegers:
    """bits: of one value, 8 or 4. block: values that share a scale."""

    bits: int
    block: int

    @property
    def largest(self) -> int:
        """L."""
        return largest_of(self.bits)

    def size(self, length: int) -> int:
        """Two bytes a block, and the whole numbers, two in a byte where they have 4 bits."""
        return 2 * self._blocks(length) + -(-length * self.bits // 8)

    def pack(self, values: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Scales first, then the whole numbers, L added to each."""
        scales = np.empty(self._blocks(values.size), "<u2")
        codes = np.empty((scales.size, self.block), np.uint8)
        at_once = max(1, AT_ONCE // self.block)
        for start in range(0, scales.size, at_once):
            rows = slice(start, start + at_once)
            scales[rows], codes[rows] = self._coded(values[start * self.block : rows.stop * self.block], rng)
        flat = codes.reshape(-1)[: values.size]
        return np.concatenate([scales.view(np.uint8), self._joined(flat)])

    def _coded(
        self, values: NDArray[np.floating], rng: np.random.Generator
    ) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
        """Scales and whole numbers of some blocks, the last filled up with zeros."""
        blocks = np.zeros((self._blocks(values.size), self.block))
        blocks.reshape(-1)[: values.size] = values
        scales = rounded_up((np.abs(blocks).max(axis=1, initial=0.0) / self.largest).astype(np.float32))
        scale = widened(scales).astype(np.float64)[:, None]
        np.divide(blocks, scale, out=blocks, where=scale > 0)
        blocks[scales == 0] = 0.0
        steps = np.floor(np.add(blocks, rng.random(blocks.shape), out=blocks), out=blocks)
        return scales, (np.clip(steps, -self.largest, self.largest, out=steps) + self.largest).astype(np.uint8)

    def unpack(self, data: NDArray[np.uint8], length: int) -> Vector:
        """A scale below 0, infinite or NaN is refused, and so is a whole number beyond L."""
        demand_bytes(data, self.size(length))
        scales = np.ascontiguousarray(data[: 2 * self._blocks(length)]).view("<u2")
        if (scales >= INFINITE).any():
            raise WireError("a scale of a compressed update is no finite number from 0.")
        codes = self._split(data[2 * scales.size :], length)
        if (codes > 2 * self.largest).any():
            raise WireError(f"a whole number of a compressed update is beyond {self.largest}.")
        scale = np.repeat(widened(scales), self.block)[:length]
        with np.errstate(over="ignore"):
            return (codes.astype(np.float32) - np.float32(self.largest)) * scale

    def _blocks(self, length: int) -> int:
        return -(-length // self.block)

    def _joined(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.bits == 8:
            return codes
        pairs = np.append(codes, np.zeros(codes.size % 2, np.uint8)).reshape(-1, 2)
        return np.bitwise_or(pairs[:, 0], np.left_shift(pairs[:, 1], 4), dtype=np.uint8)

    def _split(self, data: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
        if self.bits == 8:
            return data
        codes = np.stack([data & 15, data >> 4], axis=1).reshape(-1)
        if codes[length:].any():
            raise WireError("a compressed update holds more values than the model has.")
        return codes[:length]
