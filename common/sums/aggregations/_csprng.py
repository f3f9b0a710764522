"""Numbers that hide something: from AES-256 in counter mode, under a key of the operating system or a public one."""

from __future__ import annotations

import os
from hashlib import sha256

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

LARGEST_SMALL = 31
"""Bound of a small number: half of the 62 coins it counts; their standard deviation is sqrt(62) / 2 = 3.94."""
_COINS = np.uint64((1 << (2 * LARGEST_SMALL)) - 1)


def small_numbers(count: int) -> NDArray[np.int64]:
    """(count,) int64 within +-31, centred binomial, fresh from a key of the operating system."""
    words = _keystream(os.urandom(32), count)
    heads: NDArray[np.uint8] = np.bitwise_count(words & _COINS)
    return heads.astype(np.int64) - LARGEST_SMALL


def public_words(label: bytes, count: int) -> NDArray[np.uint64]:
    """(count,) uint64, uniform and the same for everybody who knows the label; nobody can choose them by it."""
    return _keystream(sha256(b"wardround public words\0" + label).digest(), count)


def _keystream(key: bytes, count: int) -> NDArray[np.uint64]:
    """A key is used once, so that its counter may start at 0."""
    stream = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor()
    return np.frombuffer(stream.update(bytes(8 * count)), dtype="<u8").astype(np.uint64, copy=False)
