"""CKKS for words as TenSEAL's tutorials do: CKKSVector, batching, a public key, a chain of primes.

Words are encrypted as they are and decrypted by rounding, which is exact wherever `largest_error` is below a half.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import tenseal

from common.aggregation._fixed_point import Totals, Words
from common.aggregation._seal import LARGEST_ERROR
from common.aggregation._seal_bytes import content_bytes
from common.errors import StudyError, WireError

_RELATIVE_ERROR = 2.0**-46
"""Of encoding and decoding in doubles, against the largest slot."""
_FAILURES = (RuntimeError, ValueError, IndexError, TypeError, MemoryError)


def largest_error(degree: int, scale_bits: int, added: int, largest: int) -> float:
    """Hard bound of the error of a sum of `added` slots up to `largest` each.

    A fresh ciphertext's error is u e + e0 + e1 s with all coefficients of u and s within 1; those of all coefficients
    add up in a slot.
    """
    coefficient = (2 * degree + 1) * LARGEST_ERROR + 1
    return added * (degree * coefficient * 2.0**-scale_bits + largest * _RELATIVE_ERROR)


def new_context(degree: int, coefficient_bits: tuple[int, ...], scale_bits: int) -> Any:
    """A context with fresh keys. Raises StudyError where TenSEAL refuses the parameters."""
    try:
        context = tenseal.context(
            tenseal.SCHEME_TYPE.CKKS, degree, coeff_mod_bit_sizes=list(coefficient_bits), n_threads=1
        )
    except (ValueError, RuntimeError) as error:
        raise StudyError(f"TenSEAL refuses coefficient_bits = {list(coefficient_bits)}: {error}.") from None
    context.global_scale = 2.0**scale_bits
    return context


@dataclass(frozen=True)
class TensealCkks:
    """A `Scheme` of `_shared_key`. words: how many an update has."""

    degree: int
    coefficient_bits: tuple[int, ...]
    scale_bits: int
    words: int

    @property
    def blocks(self) -> int:
        """CKKSVectors of degree / 2 values."""
        return -(-self.words // self._slots)

    def new_key(self) -> bytes:
        """A context with its public and its secret key, and no other."""
        context = new_context(self.degree, self.coefficient_bits, self.scale_bits)
        saved = context.serialize(
            save_public_key=True, save_secret_key=True, save_galois_keys=False, save_relin_keys=False
        )
        return bytes(saved)

    def encrypt(self, words: Words, key: bytes) -> list[bytes]:
        """With the public key, a vector a ciphertext."""
        padded = np.zeros(self.blocks * self._slots)
        padded[: words.size] = words
        context = _read_context(key)
        return [tenseal.ckks_vector(context, row.tolist()).serialize() for row in padded.reshape(-1, self._slots)]

    def load(self, blocks: Sequence[bytes], *, fresh: bool) -> Any:
        """Vectors. Raises WireError where one is not of these parameters."""
        public, content = public_context(self.degree, self.coefficient_bits, self.scale_bits)
        return [self._load(block, public, content) for block in blocks]

    def add(self, total: Any, more: Any) -> Any:
        """In place of total."""
        if total is None:
            return more
        for one, other in zip(total, more, strict=True):
            one.add_(other)
        return total

    def save(self, total: Any) -> list[bytes]:
        """A vector a block."""
        return [one.serialize() for one in total]

    def decrypt(self, total: Any, key: bytes, added: int) -> Totals:
        """(words,) uint64, exact."""
        context = _read_context(key)
        rows = []
        for one in total:
            one.link_context(context)
            rows.append(one.decrypt())
        numbers = np.maximum(np.rint(np.array(rows)), 0).reshape(-1)[: self.words]
        totals: Totals = numbers.astype(np.uint64)
        return totals

    def _load(self, block: bytes, public: Any, content: int) -> Any:
        if content_bytes(_seal_block(block, self._slots, self.scale_bits)) != content:
            raise WireError("a ciphertext is of another size than this study's.")
        try:
            vector = tenseal.ckks_vector_from(public, block)
        except _FAILURES:
            raise WireError("a ciphertext is damaged or of other parameters.") from None
        if vector.size() != self._slots:
            raise WireError("a ciphertext is of another form than this study's.")
        return vector

    @property
    def _slots(self) -> int:
        return self.degree // 2


def _read_context(key: bytes) -> Any:
    """Raises WireError where the bytes are no context with a secret key."""
    try:
        context = tenseal.context_from(key, n_threads=1)
    except _FAILURES:
        raise WireError("a key is no context of TenSEAL.") from None
    if not context.has_secret_key() or not context.has_public_key():
        raise WireError("a key lacks its secret or its public half.")
    return context


@lru_cache(maxsize=8)
def public_context(degree: int, coefficient_bits: tuple[int, ...], scale_bits: int) -> tuple[Any, int]:
    """A context that nothing is decrypted with, and the size of a ciphertext's content; made once.

    Raises StudyError as `new_context`.
    """
    context = new_context(degree, coefficient_bits, scale_bits)
    context.make_context_public()
    block = tenseal.ckks_vector(context, [0.0] * (degree // 2)).serialize()
    return context, content_bytes(_seal_block(block, degree // 2, scale_bits))


def _seal_block(vector: bytes, slots: int, scale_bits: int) -> bytes:
    """SEAL's bytes inside a CKKSVector, a protobuf of three fields: [slots], the ciphertext, the scale."""
    head = b"\x0a\x02" + bytes([slots & 0x7F | 0x80, slots >> 7]) + b"\x12"
    tail = b"\x19" + struct.pack("<d", 2.0**scale_bits)
    start, length = len(head), 0
    for place in range(5):
        octet = vector[start + place] if start + place < len(vector) else 0
        length |= (octet & 0x7F) << 7 * place
        if octet < 0x80:
            start += place + 1
            break
    if not vector.startswith(head) or vector[start + length :] != tail:
        raise WireError("a ciphertext is not a vector of this study's scale.")
    return vector[start : start + length]
