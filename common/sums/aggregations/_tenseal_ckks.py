"""CKKS for words as TenSEAL's tutorials do it: real slots, a public key, a chain of primes whose last is special.

What a CKKSVector does, step by step and with SEAL's own functions; its serialised form alone is not used, since its
loader is C++ that crafted bytes abort (`_seal_bytes`). Words are encrypted as they are and decrypted by rounding,
which is exact wherever `is_exact`; `_seal_ckks` says why nothing less will do.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.sums.aggregations._fixed_point import Totals, Words
from common.sums.aggregations._microsoft_seal import LARGEST_ERROR, RELATIVE_ERROR, SealScheme, opened
from common.sums.aggregations._seal_bytes import SEED_BYTES
from common.sums.aggregations._seal_ckks import LARGEST_SHARE


def largest_error(degree: int, scale_bits: int, added: int, largest: int) -> float:
    """Hard bound of the error of a sum of `added` slots up to `largest` each.

    A fresh ciphertext's error is u e + e0 + e1 s with all coefficients of u and s within 1, and smaller once the
    special prime is divided out; those of all coefficients add up in a slot.
    """
    coefficient = (2 * degree + 1) * LARGEST_ERROR + 1
    return added * (degree * coefficient * 2.0**-scale_bits + largest * RELATIVE_ERROR)


def is_exact(degree: int, coefficient_bits: tuple[int, ...], scale_bits: int, added: int, largest: int) -> bool:
    """Whether a sum of `added` words up to `largest` does not wrap, and always decrypts to the exact sum."""
    data_bits = sum(coefficient_bits[:-1]) if len(coefficient_bits) > 1 else coefficient_bits[0]
    width = (added * largest).bit_length()
    error = largest_error(degree, scale_bits, added, largest)
    return width + scale_bits + 1 < data_bits and error < LARGEST_SHARE


@dataclass(frozen=True)
class TensealCkks:
    """A `Scheme` of `_shared_key`. words: how many an update has."""

    degree: int
    coefficient_bits: tuple[int, ...]
    scale_bits: int
    words: int

    @property
    def blocks(self) -> int:
        """Ciphertexts of degree / 2 values."""
        return -(-self.words // self._slots)

    def block_bytes(self, *, fresh: bool) -> int:
        """Of a ciphertext on the wire, whether fresh or added up."""
        return self._seal.form.block_bytes(False)

    def new_key(self) -> bytes:
        """64 bytes, from which SEAL derives its key."""
        return os.urandom(SEED_BYTES)

    def encrypt(self, words: Words, key: bytes) -> list[bytes]:
        """With a public key, a vector a ciphertext."""
        padded = np.zeros(self.blocks * self._slots)
        padded[: words.size] = words
        return self._seal.encrypt_public(self._seal.from_slots(padded.reshape(-1, self._slots), self._scale), key)

    def load(self, blocks: Sequence[bytes], *, fresh: bool) -> Any:
        """Ciphertexts."""
        return self._seal.load(blocks, seeded=False, scale=self._scale)

    def add(self, total: Any, more: Any) -> Any:
        """In place of total."""
        return self._seal.add(total, more)

    def save(self, total: Any) -> list[bytes]:
        """A vector a block."""
        return self._seal.save(total)

    def decrypt(self, total: Any, key: bytes, added: int) -> Totals:
        """(words,) uint64, exact."""
        numbers = np.rint(self._seal.to_slots(self._seal.decrypt(total, key)).real).reshape(-1)[: self.words]
        totals: Totals = np.clip(numbers, 0, 2.0**32 - 1).astype(np.uint64)
        return totals

    @property
    def _slots(self) -> int:
        return self.degree // 2

    @property
    def _scale(self) -> float:
        return 2.0**self.scale_bits

    @property
    def _seal(self) -> SealScheme:
        return opened("ckks", self.degree, self.coefficient_bits)
