"""Masks: words of an AES-128-CTR keystream, added to or subtracted from words in place.

A stream's 28 bytes are a key and a nonce, both by HKDF from a secret of full entropy that is used for nothing else.
The keystream is what AES-GCM adds to zeros, which is counter mode from the nonce's third block on (NIST SP 800-38D,
section 7.1): OpenSSL makes it on processors with vector AES twice as fast as by its counter mode alone. It does not
come round within 64 GB; nobody asks for the tag. Streams are expanded a block at a time that stays in the cache,
all of them over one block before the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from cryptography.hazmat.primitives.ciphers import AEADEncryptionContext, Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from numpy.typing import NDArray

from common.sums.aggregations._ring import Words

STREAM_BYTES = 28
BLOCK_WORDS = 1 << 16
_ZEROS = bytes(4 * BLOCK_WORDS)
_CIPHER_BLOCK_WORDS = 4


class RoundingDraws:
    """Evenly distributed whole numbers below 2**16 of one stream, at most `most` at a time."""

    def __init__(self, stream: bytes, most: int) -> None:
        self._cipher, self._zeros = _cipher(stream), memoryview(bytes(2 * most))
        self._draws = np.empty(most + 2 * _CIPHER_BLOCK_WORDS, "<u2")

    def next(self, count: int) -> NDArray[np.uint16]:
        """(count,) uint16, good until the next call."""
        self._cipher.update_into(self._zeros[: 2 * count], self._draws.view(np.uint8).data)
        return self._draws[:count]


def apply(words: Words, added: Sequence[bytes], subtracted: Sequence[bytes] = ()) -> None:
    """Add and subtract streams, modulo 2**32, in place. words: (n,) uint32. A stream: 28 bytes."""
    plus, minus = [_cipher(stream) for stream in added], [_cipher(stream) for stream in subtracted]
    block = np.empty(BLOCK_WORDS + _CIPHER_BLOCK_WORDS, "<u4")
    octets = block.view(np.uint8).data
    for start in range(0, words.size, BLOCK_WORDS):
        part = words[start : start + BLOCK_WORDS]
        mask, zeros = block[: part.size], memoryview(_ZEROS)[: 4 * part.size]
        for cipher in plus:
            cipher.update_into(zeros, octets)
            np.add(part, mask, out=part)
        for cipher in minus:
            cipher.update_into(zeros, octets)
            np.subtract(part, mask, out=part)


def tag(stream: bytes, parts: Iterable[memoryview]) -> bytes:
    """16 bytes that follow from all bytes of all parts: GCM's tag of them, by this stream's key and nonce."""
    cipher = _cipher(stream)
    for part in parts:
        cipher.authenticate_additional_data(part)
    cipher.finalize()
    return cipher.tag


def _cipher(stream: bytes) -> AEADEncryptionContext:
    return Cipher(AES(stream[:16]), GCM(stream[16:STREAM_BYTES])).encryptor()
