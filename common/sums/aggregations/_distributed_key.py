"""Encryption under keys that nobody holds: each hospital has its own, and only their sum is ever opened.

In R = Z[x] / (x^4096 + 1) modulo q = 2**64, block k of hospital i is

    b_ik = -a_k s_i + e_ik + D m_ik,        so that        sum_i b_ik + a_k S = D sum_i m_ik + sum_i e_ik

with S the sum of the s_i over exactly the hospitals whose b_i are added. a_k is public and the same for all, drawn
from a hash of the study, the round and the server's nonce, fresh for every block and round; s_i is fresh in every
round; s_i and e_ik are centred binomial within +-31 (standard deviation 3.94), from the operating system. D leaves
room for the largest possible sum of the e_i, so that decryption is exact always and not merely likely. Bytes of
b_ik below what D needs are rounded away before sending, which is a function of what is sent and so reveals nothing.

This is our own construction, in the line of multi-key and threshold encryption (Asharov et al. 2012; Mouchet et al.
2021); nobody outside this project has reviewed it. The argument:

*What the server gets* is every b_i and S. It gets S through secret sharing (`secagg`), which opens the sum of one
set of survivors a round and no other: sums over two sets would give a single s_i away. No hospital ever publishes
a_k s_i or anything else of its own key.

*S gives away the sum of the e_i*, since all else in the equation is known. So security may not rest on it. Take two
honest hospitals 1 and 2, give the server everything of the others, and let it know s_1 + s_2 = S' and e_1 + e_2 = E'
besides. Given S', s_1 is a hypergeometric number about S' / 2 with half the variance, and likewise e_1 given E'; b_1
is then an RLWE sample whose secret and errors have standard deviation 2.78 about known centres, and b_2 follows from
b_1, S', E' and m_1 + m_2. If such a sample is indistinguishable from uniform, then so are all pairs of messages
(m_1, m_2) of one sum, and by exchanging pair after pair all messages of one sum: the server learns the sum over the
honest hospitals and nothing else. With Gaussians in place of binomials this is exact (two independent Gaussians given
their sum). A ternary key would leave 2 of 9 coefficients of s_1 known for certain; hence binomial keys.

*Is such a sample hard?* For N = 4096 the HomomorphicEncryption.org standard (2018, table 1) allows 109 bits of
modulus for 128-bit security at standard deviation 3.19; here there are 64. Lattice attacks depend on log2(q / error):
62.5 here after the loss to 2.78 against 107.3 in the table. A modulus that is a power of two is as good (Peikert,
Regev and Stephens-Davidowitz 2017); messages in its high bits are what TFHE does.

*What it does not protect*: with fewer than two honest hospitals among the survivors the sum is somebody's update.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import WireError
from common.sums.aggregations._csprng import LARGEST_SMALL, public_words, small_numbers
from common.sums.aggregations._packing import Coefficients
from common.sums.aggregations._polynomials import DEGREE, MODULUS_BITS, Small, multiply

Bytes = NDArray[np.uint8]
WORD_BYTES = MODULUS_BITS // 8


@dataclass(frozen=True)
class DistributedKey:
    """Sums of up to `hospitals` messages whose sum takes `message_bits` a coefficient."""

    message_bits: int
    hospitals: int

    @property
    def is_exact(self) -> bool:
        """Whether D leaves room for all errors; nothing may be encrypted where it does not."""
        return self._fits(0)

    @property
    def dropped_bytes(self) -> int:
        """Lowest bytes of a coefficient that need not be sent."""
        return max(number for number in range(WORD_BYTES) if self._fits(number))

    def size(self, coefficients: int) -> int:
        """Bytes of one hospital's encrypted message."""
        return coefficients * (WORD_BYTES - self.dropped_bytes)

    def encrypt(self, message: Coefficients, secret: Small, label: bytes) -> Bytes:
        """(size,) uint8. message: (n,) uint64; secret: from `new_secret`, used once; label: whose a_k to take."""
        masked = -multiply(_public(label, message.size), secret).reshape(-1)[: message.size]
        masked += small_numbers(message.size).view(np.uint64)
        masked += message << self._shift
        return self._shorten(masked)

    def expand(self, data: Bytes, coefficients: int) -> Coefficients:
        """(n,) uint64, to be added up. Raises WireError where the size is another."""
        if data.size != self.size(coefficients):
            raise WireError(f"{data.size} bytes came encrypted; {self.size(coefficients)} were due.")
        words = np.zeros((coefficients, WORD_BYTES), np.uint8)
        words[:, self.dropped_bytes :] = data.reshape(coefficients, -1)
        return words.view("<u8").reshape(-1).astype(np.uint64, copy=False)

    def decrypt(self, total: Coefficients, key_sum: Small, label: bytes) -> Coefficients:
        """(n,) uint64: the sum of the messages. total: (n,) sum of expanded ones; key_sum: (4096,) of their keys."""
        opened = total + multiply(_public(label, total.size), key_sum).reshape(-1)[: total.size]
        opened += np.uint64(1) << (self._shift - np.uint64(1))
        return opened >> self._shift

    @property
    def _shift(self) -> np.uint64:
        return np.uint64(MODULUS_BITS - self.message_bits)

    def _fits(self, dropped: int) -> bool:
        rounding = 1 << (8 * dropped - 1) if dropped else 0
        return 2 * self.hospitals * (LARGEST_SMALL + rounding) < 1 << max(MODULUS_BITS - self.message_bits, 0)

    def _shorten(self, words: Coefficients) -> Bytes:
        """Rounded to the bytes that are sent; adding half first rounds to nearest."""
        dropped = self.dropped_bytes
        if dropped:
            words += np.uint64(1 << (8 * dropped - 1))
        return words.astype("<u8", copy=False).view(np.uint8).reshape(-1, WORD_BYTES)[:, dropped:].reshape(-1)


def new_secret() -> Small:
    """(4096,) int64 within +-31, of the operating system; for one hospital and one round."""
    return small_numbers(DEGREE)


def _public(label: bytes, coefficients: int) -> Coefficients:
    """a_1, a_2, ...: (K, 4096) uint64, one stretch of the stream a block."""
    blocks = -(-coefficients // DEGREE)
    return public_words(label, blocks * DEGREE).reshape(blocks, DEGREE)
