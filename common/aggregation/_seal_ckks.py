"""CKKS of Microsoft SEAL for words, economically: one prime, two values in a complex slot, seeded ciphertexts.

Words of the model are taken to [-1, 1] and come back within a stated error; limbs of statistics are cut into bytes,
which the error cannot move by one, and come back exactly.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.aggregation._fixed_point import Totals, Words
from common.aggregation._seal import LARGEST_ERROR, SEED_BYTES, Seal, opened
from common.errors import StudyError, WireError

BYTE = 256
_ROUNDING = 1
"""Of a coefficient, where a plaintext is rounded to whole numbers and slots are computed in doubles."""


def scale_bits(modulus_bits: int, hospitals: int) -> int:
    """The largest scale 2**bits at which the sum of so many slots of size sqrt(2) cannot wrap round the modulus.

    A coefficient is at most the largest slot. Raises StudyError where none is left.
    """
    room = (1 << (modulus_bits - 1)) * (1 - 2.0**-10)
    for bits in range(modulus_bits - 2, 0, -1):
        if hospitals * (sqrt(2) * 2.0**bits + LARGEST_ERROR + _ROUNDING) < room:
            return bits
    raise StudyError(f"{modulus_bits} bits of modulus have no room for the sum of {hospitals} hospitals.")


def largest_error(degree: int, modulus_bits: int, hospitals: int, added: int) -> float:
    """Hard bound of the error of a sum's slot: errors of all coefficients at their largest, and aligned."""
    return added * degree * (LARGEST_ERROR + _ROUNDING) * 2.0 ** -scale_bits(modulus_bits, hospitals)


def likely_error(degree: int, modulus_bits: int, hospitals: int, added: int) -> float:
    """Eight standard deviations of it: beyond it lies less than one slot in 10**14."""
    variance = LARGEST_ERROR / 2 + 1 / 12
    return 8 * sqrt(added * degree * variance) * 2.0 ** -scale_bits(modulus_bits, hospitals)


@dataclass(frozen=True)
class SealCkks:
    """A `Scheme` of `_shared_key`. values, limbs: words of the model and of statistics, below 2**value_bits."""

    degree: int
    modulus_bits: int
    value_bits: int
    hospitals: int
    values: int
    limbs: int

    @property
    def blocks(self) -> int:
        """Ciphertexts of `degree` numbers."""
        return -(-(self.values + self.limbs * self._limb_bytes) // self.degree)

    def new_key(self) -> bytes:
        """64 bytes, from which SEAL derives its key."""
        return os.urandom(SEED_BYTES)

    def encrypt(self, words: Words, key: bytes) -> list[bytes]:
        """Seeded ciphertexts, half the size of others."""
        if len(key) != SEED_BYTES:
            raise WireError(f"a key takes {SEED_BYTES} bytes; {len(key)} came.")
        numbers = np.zeros(self.blocks * self.degree)
        numbers[: self.values] = words[: self.values] / self._half - 1
        octets = words[self.values :].astype("<u4").view(np.uint8).reshape(-1, 4)[:, : self._limb_bytes]
        numbers[self.values : self.values + octets.size] = octets.reshape(-1) / BYTE
        pairs = numbers.reshape(self.blocks, 2, -1)
        return self._seal.encrypt(self._seal.from_slots(pairs[:, 0] + 1j * pairs[:, 1], self._scale), key)

    def load(self, blocks: Sequence[bytes], *, fresh: bool) -> Any:
        """Ciphertexts. Raises WireError where one is of another scale."""
        loaded = self._seal.load(blocks, seeded=fresh)
        if any(one.scale != self._scale for one in loaded):
            raise WireError("a ciphertext is of another scale than this study's.")
        return loaded

    def add(self, total: Any, more: Any) -> Any:
        """In place of total."""
        return self._seal.add(total, more)

    def save(self, total: Any) -> list[bytes]:
        """Full ciphertexts."""
        return self._seal.save(total)

    def decrypt(self, total: Any, key: bytes, added: int) -> Totals:
        """(values + limbs,) uint64, of which the limbs are exact."""
        slots = self._seal.to_slots(self._seal.decrypt(total, key))
        numbers = np.stack([slots.real, slots.imag], axis=1).reshape(-1)
        values = np.rint((numbers[: self.values] + added) * self._half)
        np.clip(values, 0, added * ((1 << self.value_bits) - 1), out=values)
        octets = np.rint(numbers[self.values : self.values + self.limbs * self._limb_bytes] * BYTE)
        places = BYTE ** np.arange(self._limb_bytes)
        limbs = np.maximum(octets, 0).reshape(-1, self._limb_bytes) @ places
        totals: NDArray[np.uint64] = np.concatenate([values, limbs]).astype(np.uint64)
        return totals

    @property
    def _half(self) -> float:
        return float(1 << (self.value_bits - 1))

    @property
    def _limb_bytes(self) -> int:
        return -(-self.value_bits // 8)

    @property
    def _scale(self) -> float:
        return 2.0 ** scale_bits(self.modulus_bits, self.hospitals)

    @property
    def _seal(self) -> Seal:
        return opened("ckks", self.degree, self.modulus_bits)
