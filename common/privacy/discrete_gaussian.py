"""The discrete Gaussian from random bytes: no float decides a draw, and speed does not depend on sigma.

Canonne, Kamath and Steinke 2020 (The Discrete Gaussian for Differential Privacy) draw it by rejection from whole
numbers; this is the same idea with a closer envelope, so that about 1 draw in 80 is rejected. A magnitude is
m = B j + r with B = 2^b, sigma / B within [32, 64) (B = 1 for smaller sigma), and 0 <= r < B:

1. j from a table of chances proportional to exp(-(B j)^2 / (2 sigma^2)), cut off at 13 sigma;
2. r uniform: b random bits;
3. accepted with chance exp(-(m^2 - (B j)^2) / (2 sigma^2)), which is what is missing to exp(-m^2 / (2 sigma^2));
4. a random sign, and minus nought rejected, so that 0 does not come twice as often.

Both chances are compared with uniform numbers of 128 bits, but lazily: 16 bits decide nearly always, and only where
they do not are the other 112 drawn and compared with the chance worked out to 60 digits.

Total variation distance of one draw from the exact distribution: below 2^-116. The tail cut off holds less than
2 Q(13) < 2^-125; at most 840 thresholds and one chance, each rounded by less than 2^-128, shift less than 2^-119; and
as at least half of the proposals are accepted, the accepted ones are off by at most four times the sum. A release of
2^24 numbers, made 2^14 times, thereby adds less than 2^-78 (1 + e^epsilon) to delta.

How many proposals are rejected, which time can show, is independent of the draws that are accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from functools import lru_cache
from itertools import accumulate
from math import ceil, frexp

import numpy as np
from numpy.typing import NDArray

from common.errors import StudyError
from common.privacy.lazy_chances import FIRST_BITS, ONE, ChanceTable, RandomBytes, happens_at_least
from common.study.checks import positive

LARGEST_SIGMA = 2.0**55
"""13 sigma is a 64-bit whole number."""

_MOST_BLOCKS_A_SIGMA_BITS = 6
_CUT_SIGMAS = 13
_DIGITS = Context(prec=60)
_BATCH = 1 << 15


def discrete_gaussian(size: int, sigma: float, random_bytes: RandomBytes) -> NDArray[np.int64]:
    """(size,) int64, each k with chance proportional to exp(-k^2 / (2 sigma^2)).

    Raises StudyError unless 0 < sigma <= LARGEST_SIGMA.
    """
    check_sigma(sigma)
    blocks = _blocks(float(sigma))
    drawn = np.empty(size, np.int64)
    done = 0
    while done < size:
        some = _some(blocks, min(_BATCH, size - done + 64), random_bytes)[: size - done]
        drawn[done : done + some.size] = some
        done += some.size
    return drawn


def check_sigma(sigma: float) -> None:
    """Raise StudyError unless 0 < sigma <= LARGEST_SIGMA."""
    positive("noise", sigma=sigma)
    if sigma > LARGEST_SIGMA:
        raise StudyError(f"noise.sigma must be at most 2**55, for noise to fit 64 bits; it is {sigma!r}.")


def largest_draw(sigma: float) -> int:
    """No draw is farther from 0. Raises StudyError unless 0 < sigma <= LARGEST_SIGMA."""
    check_sigma(sigma)
    bits = _block_bits(sigma)
    return ((_last_block(sigma, bits) + 1) << bits) - 1


@dataclass(frozen=True)
class _Blocks:
    """Of 2^bits numbers each. table: chances of j."""

    sigma: float
    bits: int
    table: ChanceTable

    @property
    def exponent(self) -> float:
        """B^2 / (2 sigma^2)."""
        return 0.5 * (2.0**self.bits / self.sigma) ** 2


@lru_cache(maxsize=16)
def _blocks(sigma: float) -> _Blocks:
    bits = _block_bits(sigma)
    return _Blocks(sigma, bits, ChanceTable.of(_thresholds(sigma, bits)))


def _block_bits(sigma: float) -> int:
    """b: 2^b numbers are one block."""
    return max(0, frexp(sigma)[1] - _MOST_BLOCKS_A_SIGMA_BITS)


def _last_block(sigma: float, bits: int) -> int:
    """The largest j that is ever drawn."""
    return ceil(_CUT_SIGMAS * sigma / float(2**bits))


def _thresholds(sigma: float, bits: int) -> list[int]:
    """The upper ends of the shares of 2^128 that j = 0, 1, ... have; the last has the rest."""
    with localcontext(_DIGITS):
        ratio = (-_half_inverse_square(sigma) * 4**bits).exp()
        weight, step, weights = Decimal(1), ratio, []
        for _ in range(_last_block(sigma, bits) + 1):
            weights.append(weight)
            weight, step = weight * step, step * ratio * ratio
        whole = sum(weights)
        return [int(part / whole * ONE) for part in accumulate(weights[:-1])]


def _half_inverse_square(sigma: float) -> Decimal:
    return 1 / (2 * Decimal(sigma) ** 2)


def _some(blocks: _Blocks, count: int, random_bytes: RandomBytes) -> NDArray[np.int64]:
    """The accepted of `count` proposals, in the order drawn."""
    block = blocks.table.draw(count, random_bytes)
    words = np.frombuffer(random_bytes(8 * count), "<i8")
    rest = words & (2**blocks.bits - 1)
    kept = _accepted(blocks, block, rest, random_bytes) if blocks.bits else np.ones(count, np.bool_)
    minus = words >> 63
    noughts = np.flatnonzero(block == 0)
    kept[noughts] &= (rest[noughts] != 0) | (minus[noughts] == 0)
    return _signed(block, rest, minus, blocks.bits)[kept]


def _signed(
    block: NDArray[np.int16], rest: NDArray[np.int64], minus: NDArray[np.int64], bits: int
) -> NDArray[np.int64]:
    """(N,) B j + r with their signs, in the memory of `rest`. minus: -1 or 0."""
    start = block.astype(np.int64)
    start <<= bits
    rest |= start
    rest ^= minus
    rest -= minus
    return rest


def _accepted(
    blocks: _Blocks, block: NDArray[np.int16], rest: NDArray[np.int64], random_bytes: RandomBytes
) -> NDArray[np.bool_]:
    """With chance exp(-x), x = share (share + 2 j) B^2 / (2 sigma^2) below 1/2, where share = r / B.

    The chance is at least 1 - x, and x below (j + 1) (B / sigma)^2, at most 418 / 1024.
    """
    lacking = ceil(2 * blocks.exponent * 2.0**FIRST_BITS)
    surely = block.astype(np.uint16)
    surely *= np.uint16(lacking)
    np.subtract(np.uint16(2**FIRST_BITS - 2 - lacking), surely, out=surely)

    def chances(at: NDArray[np.int64]) -> NDArray[np.float64]:
        share = rest[at] * 2.0**-blocks.bits
        found: NDArray[np.float64] = np.exp(share * (share + 2.0 * block[at]) * -blocks.exponent)
        return found

    return happens_at_least(
        surely,
        chances,
        lambda at: exact_chance(blocks.sigma, int(block[at]) << blocks.bits, int(rest[at])),
        random_bytes,
    )


def exact_chance(sigma: float, start: int, rest: int) -> int:
    """exp(-((start + rest)^2 - start^2) / (2 sigma^2)) in steps of 2^-128, rounded down."""
    with localcontext(_DIGITS):
        return int((-_half_inverse_square(sigma) * (rest * (2 * start + rest))).exp() * ONE)
