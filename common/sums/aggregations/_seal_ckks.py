"""CKKS of Microsoft SEAL for words, economically: one prime, two values in a complex slot, seeded ciphertexts.

Words of the model are taken to [-1, 1], limbs of statistics are cut into bytes, and both come back exactly: the
scheme's error, at its largest, is below a quarter of the step between two words. That is no luxury. A decrypted word
in which the error shows is an equation in the secret key, and whoever knows the encrypted sum and enough such words
solves them for it (Li and Micciancio 2021, On the security of homomorphic encryption on approximate numbers, section
3): the coordinator would have the round's key from what it is given anyway. Words that are the exact sum tell
nothing but the sum.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.sums.aggregations._fixed_point import Totals, Words
from common.sums.aggregations._microsoft_seal import LARGEST_ERROR, RELATIVE_ERROR, SealScheme, opened
from common.sums.aggregations._seal_bytes import SEED_BYTES

BYTE = 256
LARGEST_SHARE = 0.25
"""Of the step between two words that the error may take; at a half it would show."""
_ROUNDING = 1
"""Of a coefficient, where a plaintext is rounded to whole numbers."""


def scale_bits(modulus_bits: int, hospitals: int) -> int:
    """The largest scale 2**bits at which the sum of so many slots of size sqrt(2) cannot wrap round the modulus.

    A coefficient is at most the largest slot. 0 where none is left.
    """
    room = (1 << (modulus_bits - 1)) * (1 - 2.0**-10)
    for bits in range(modulus_bits - 2, 0, -1):
        if hospitals * (sqrt(2) * 2.0**bits + LARGEST_ERROR + _ROUNDING) < room:
            return bits
    return 0


def largest_error(degree: int, modulus_bits: int, hospitals: int) -> float:
    """Hard bound of the error of a slot of the sum of all: every coefficient's at its largest, and all aligned."""
    slot = degree * (LARGEST_ERROR + _ROUNDING) * 2.0 ** -scale_bits(modulus_bits, hospitals)
    return hospitals * (slot + sqrt(2) * RELATIVE_ERROR)


def is_exact(degree: int, modulus_bits: int, value_bits: int, hospitals: int) -> bool:
    """Whether the sum of all hospitals' words, and of fewer, always decrypts to the exact sum."""
    step = min(2.0 ** (1 - value_bits), 1 / BYTE)
    has_scale = scale_bits(modulus_bits, hospitals) > 0
    return has_scale and largest_error(degree, modulus_bits, hospitals) < LARGEST_SHARE * step


@dataclass(frozen=True)
class SealCkks:
    """A `Scheme` of `_shared_key`. values, limbs: words of the model and of statistics, below 2**value_bits.

    Raises nothing where `is_exact` does not hold: ask before.
    """

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

    def block_bytes(self, *, fresh: bool) -> int:
        """Of a ciphertext on the wire."""
        return self._seal.form.block_bytes(fresh)

    def new_key(self) -> bytes:
        """64 bytes, from which SEAL derives its key."""
        return os.urandom(SEED_BYTES)

    def encrypt(self, words: Words, key: bytes) -> list[bytes]:
        """Seeded ciphertexts, half the size of others."""
        numbers = np.zeros(self.blocks * self.degree)
        numbers[: self.values] = words[: self.values] / self._half - 1
        octets = words[self.values :].astype("<u4").view(np.uint8).reshape(-1, 4)[:, : self._limb_bytes]
        numbers[self.values : self.values + octets.size] = octets.reshape(-1) / BYTE
        pairs = numbers.reshape(self.blocks, 2, -1)
        return self._seal.encrypt(self._seal.from_slots(pairs[:, 0] + 1j * pairs[:, 1], self.scale), key)

    def load(self, blocks: Sequence[bytes], *, fresh: bool) -> Any:
        """Ciphertexts."""
        return self._seal.load(blocks, seeded=fresh, scale=self.scale)

    def add(self, total: Any, more: Any) -> Any:
        """In place of total."""
        return self._seal.add(total, more)

    def save(self, total: Any) -> list[bytes]:
        """Full ciphertexts."""
        return self._seal.save(total)

    def decrypt(self, total: Any, key: bytes, added: int) -> Totals:
        """(values + limbs,) uint64, exact."""
        slots = self._seal.to_slots(self._seal.decrypt(total, key))
        numbers = np.stack([slots.real, slots.imag], axis=1).reshape(-1)
        values = np.rint((numbers[: self.values] + added) * self._half)
        np.clip(values, 0, added * ((1 << self.value_bits) - 1), out=values)
        octets = np.rint(numbers[self.values : self.values + self.limbs * self._limb_bytes] * BYTE)
        np.clip(octets, 0, added * (BYTE - 1), out=octets)
        limbs = octets.reshape(-1, self._limb_bytes) @ BYTE ** np.arange(self._limb_bytes)
        totals: NDArray[np.uint64] = np.concatenate([values, limbs]).astype(np.uint64)
        return totals

    @property
    def scale(self) -> float:
        """Of a slot's number in a coefficient."""
        return 2.0 ** scale_bits(self.modulus_bits, self.hospitals)

    @property
    def _half(self) -> float:
        return float(1 << (self.value_bits - 1))

    @property
    def _limb_bytes(self) -> int:
        return -(-self.value_bits // 8)

    @property
    def _seal(self) -> SealScheme:
        return opened("ckks", self.degree, (self.modulus_bits,))
