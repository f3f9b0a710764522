"""Shares of geometric noise from random bytes: no float decides a draw.

Two-sided geometric noise, P[k] proportional to a^|k| with a = exp(-decay), is infinitely divisible: it is the sum of
n independent differences of two Pólya (negative binomial) numbers of shape r = 1 / n, so that n hospitals that each
add one such share make it, and none of them alone knows it (Goryczka and Xiong 2015).

A Pólya number is compound Poisson: of every k = 1, 2, ... come Poisson(r a^k / k) many jumps of k. Those of one
block, 2^j <= k < 2^(j + 1), are drawn together: Poisson(r a^(2^j)) many candidates, each of a k uniform in the
block, kept with chance a^(k - 2^j) 2^j / k. That leaves r a^(2^j) / 2^j times that chance of each k, which is r a^k
/ k.

Every chance is compared with a uniform number of 128 bits, lazily (`common.privacy.lazy_chances`).

Total variation distance of one share from the exact law: below 2^-105. Jumps of blocks with 2^j decay >= 128 are
left out, of which there is one with chance below 2^-180; each of at most 2 * 48 tables is off by less than 2^-119,
and each of the jumps kept, fewer than 100 but for a chance of 2^-400, by less than 2^-127.

How long a draw takes depends on how many jumps there are, which says a little of the size of the noise to whoever can
time a hospital to the microsecond; an answer leaves with its round, not when its noise is made.
"""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from common.errors import StudyError
from common.privacy.lazy_chances import ONE, ChanceTable, RandomBytes, happens

LEAST_DECAY = Fraction(1, 1 << 40)
"""So that a share is a 64-bit whole number."""
LAST_EXPONENT = 128
_DIGITS = Context(prec=60)


def polya_differences(size: int, decay: Fraction, shares: int, random_bytes: RandomBytes) -> NDArray[np.int64]:
    """(size,) int64: so many hospitals' sums of them have chances proportional to exp(-decay |k|).

    Raises StudyError for a decay below 2**-40 or no share.
    """
    if decay < LEAST_DECAY:
        raise StudyError(f"geometric noise of more than 2**40 steps is asked for: decay {float(decay):.3g}.")
    if shares < 1:
        raise StudyError(f"noise is made by one hospital or more; shares are {shares}.")
    noise = np.zeros(2 * size, np.int64)
    for block, table in enumerate(_tables(decay, shares)):
        candidates = np.repeat(np.arange(2 * size), table.draw(2 * size, random_bytes))
        np.add.at(noise, candidates, _jumps(decay, block, candidates.size, random_bytes))
    return noise[:size] - noise[size:]


@lru_cache(maxsize=16)
def _tables(decay: Fraction, shares: int) -> tuple[ChanceTable, ...]:
    """How many candidates a block has: up to the first block that begins beyond all likelihood."""
    blocks = max(1, (-(-LAST_EXPONENT * decay.denominator // decay.numerator) - 1).bit_length())
    with localcontext(_DIGITS):
        exact = Decimal(decay.numerator) / decay.denominator
        return tuple(ChanceTable.of(_poisson((-exact * 2**block).exp() / shares)) for block in range(blocks))


def _poisson(mean: Decimal) -> list[int]:
    """The upper ends of the shares of 2^128 that 0, 1, ... have."""
    ends, weight, total = [], (-mean).exp(), Decimal(0)
    while weight * ONE >= 1:
        total += weight
        ends.append(min(int(total * ONE), ONE - 1))
        weight *= mean / len(ends)
    return ends


def _jumps(decay: Fraction, block: int, count: int, random_bytes: RandomBytes) -> NDArray[np.int64]:
    """(count,) sizes of candidates of one block; 0 for those that are not kept."""
    first = 1 << block
    more = np.frombuffer(random_bytes(8 * count), "<u8") & np.uint64(first - 1)
    sizes = more.astype(np.int64) + first
    chances = np.exp(more * -float(decay)) * first / sizes
    return np.where(happens(chances, lambda at: exact_chance(decay, first, int(more[at])), random_bytes), sizes, 0)


def exact_chance(decay: Fraction, first: int, more: int) -> int:
    """exp(-decay more) first / (first + more) in steps of 2^-128, rounded down."""
    with localcontext(_DIGITS):
        exact = Decimal(decay.numerator * more) / decay.denominator
        return int((-exact).exp() * first / (first + more) * ONE)
