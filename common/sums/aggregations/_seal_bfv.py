"""BFV of Microsoft SEAL for words: several packed in a coefficient, decrypted exactly always."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from common.sums.aggregations._fixed_point import Totals, Words
from common.sums.aggregations._microsoft_seal import LARGEST_ERROR, SealScheme, opened
from common.sums.aggregations._packing import Packing
from common.sums.aggregations._seal_bytes import SEED_BYTES

DEGREE, MODULUS_BITS = 4096, 60


def is_exact(packing: Packing) -> bool:
    """Whether the errors of all hospitals, at their largest and with SEAL's rounding, leave the sum readable."""
    spare = MODULUS_BITS - packing.bits
    return spare > 0 and 2 * packing.hospitals * (LARGEST_ERROR + 1) < (1 << spare) - 1


@dataclass(frozen=True)
class SealBfv:
    """A `Scheme` of `_shared_key`. words: how many an update has."""

    packing: Packing
    words: int

    @property
    def blocks(self) -> int:
        """Ciphertexts of 4096 coefficients."""
        return -(-self.packing.coefficients(self.words) // DEGREE)

    def block_bytes(self, *, fresh: bool) -> int:
        """Of a ciphertext on the wire."""
        return self._seal.form.block_bytes(fresh)

    def new_key(self) -> bytes:
        """64 bytes, from which SEAL derives its key."""
        return os.urandom(SEED_BYTES)

    def encrypt(self, words: Words, key: bytes) -> list[bytes]:
        """Seeded ciphertexts, half the size of others."""
        return self._seal.encrypt(self._seal.from_coefficients(self.packing.pack(words)), key)

    def load(self, blocks: Sequence[bytes], *, fresh: bool) -> Any:
        """Ciphertexts."""
        return self._seal.load(blocks, seeded=fresh)

    def add(self, total: Any, more: Any) -> Any:
        """In place of total."""
        return self._seal.add(total, more)

    def save(self, total: Any) -> list[bytes]:
        """Full ciphertexts."""
        return self._seal.save(total)

    def decrypt(self, total: Any, key: bytes, added: int) -> Totals:
        """(words,) uint64."""
        sums = self._seal.to_coefficients(self._seal.decrypt(total, key))
        return self.packing.unpack(sums[: self.packing.coefficients(self.words)], self.words)

    @property
    def _seal(self) -> SealScheme:
        return opened("bfv", DEGREE, (MODULUS_BITS,), self.packing.bits)
