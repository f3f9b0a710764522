"""Wide numbers as digits that are added up place by place, where a sum cannot settle its carries before it is seen.

The sum of every place is then seen, and it tells more than the total: what each place carried. So a hospital writes
its number in one of very many ways. For every place k it draws c_k from 0 to 2**hiding_bits - 1, of the operating
system, takes c_k off place k, and puts 256 c_k on the place below it:

    d'_k = d_k - c_k + 256 c_{k+1}         with c_0 = 0, and 256 c_top of the highest place is a multiple of 2**bits

which leaves the number as it is modulo 2**bits. In the sums of all hospitals c_k stands where the carry into place k
stood, so that both are seen as one sum. Two sets of parts of one total differ in the carry into a place by less than
the number of hospitals n, and one honest hospital's c_k, which nobody else knows, moves by so much with a change in
distribution of at most n / 2**hiding_bits. All places of all numbers together: what is seen beside the total differs
between any two sets of parts of it by at most

    n (8 counts + 32 reals) / 2**hiding_bits        in total variation,

which is 2e-7 for 4 hospitals, 1,000 real numbers and 40 bits.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.sums.wide import WideForm, Words

DIGIT_BITS = 8
MOST_HIDING_BITS, FEWEST_HIDING_BITS = 40, 24
_DRAW_BYTES = 8

Digits = NDArray[np.uint64]


@dataclass(frozen=True)
class PlainDigits:
    """Bytes of the numbers, for sums that nobody but a hospital sees, who settles the carries."""

    form: WideForm

    @property
    def length(self) -> int:
        """How many digits."""
        return 4 * self.form.words

    def split(self, words: Words) -> Words:
        """(length,) uint32 below 256."""
        return np.ascontiguousarray(words, "<u4").view(np.uint8).astype(np.uint32)

    def settled(self, sums: NDArray[np.uint64]) -> Words:
        """The words of the total from the sums of its digits."""
        return _settled(self.form, sums.astype(np.int64))


@dataclass(frozen=True)
class HiddenDigits:
    """hospitals: whose digits are added up. hiding_bits: of what is drawn for a place."""

    form: WideForm
    hospitals: int
    hiding_bits: int

    @property
    def length(self) -> int:
        """How many digits."""
        return 4 * self.form.words

    @property
    def digit_bits(self) -> int:
        """Of one digit as it is sent: from 0 to 2**8 - 1 + 256 (2**hiding_bits - 1) + 2**hiding_bits."""
        return DIGIT_BITS + self.hiding_bits + 1

    def split(self, words: Words) -> Digits:
        """(length,) uint64 below 2**digit_bits."""
        digits = np.ascontiguousarray(words, "<u4").view(np.uint8).astype(np.int64)
        at = 0
        for many, bits in self.form.blocks:
            places = bits // DIGIT_BITS
            block = digits[at : at + many * places].reshape(many, places)
            moved = self._draws(many * places).reshape(many, places)
            block += moved << DIGIT_BITS
            block[:, 1:] -= moved[:, :-1]
            at += many * places
        return (digits + (1 << self.hiding_bits)).astype(np.uint64)

    def settled(self, sums: Digits, added: int) -> Words:
        """The words of the total from the sums of the digits of `added` hospitals."""
        return _settled(self.form, sums.astype(np.int64) - (added << self.hiding_bits))

    def _draws(self, count: int) -> NDArray[np.int64]:
        drawn = np.frombuffer(os.urandom(_DRAW_BYTES * count), "<u8") >> np.uint64(64 - self.hiding_bits)
        return drawn.astype(np.int64)


def _settled(form: WideForm, sums: NDArray[np.int64]) -> Words:
    """Digits' carries first, which are of another base than words'."""
    octets, at = np.empty(sums.size, np.uint8), 0
    for many, bits in form.blocks:
        places = bits // DIGIT_BITS
        block, carry = sums[at : at + many * places].reshape(many, places), np.zeros(many, np.int64)
        for place in range(places):
            held = block[:, place] + carry
            octets[at + place : at + many * places : places] = held & 0xFF
            carry = held >> DIGIT_BITS
        at += many * places
    return octets.view("<u4").astype(np.uint32)
