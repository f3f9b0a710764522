"""Whole numbers of 64 and 256 bits as words of 32: what questions to hospitals add up, exactly and of any length.

A number is two's complement, its lowest word first, and is added up modulo 2**64 or 2**256. Whoever sees the sum of
every word learns more than the total: how much every place carried into the next, which differs with its parts. So no
protocol that hides parts tells sums of words. `carried` settles the carries, and is applied to masked numbers and to
totals alone; `common.sums.aggregations._digits` hides them where sums of places cannot be avoided.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.data.names import SiteId
from common.errors import RefusedError, WireError

Words = NDArray[np.uint32]
WORD_BITS = 32
COUNT_BITS, REAL_BITS = 64, 256
MOST_WORDS = 1 << 23
"""Of one sum, 32 MiB."""
FIRST_ROUND = 1 << 20
"""Of a run in which questions are asked: rounds of training, and the evaluation after them, come before."""
QUESTION, QUERY = "question", "query"
"""Words of a request for such numbers: all that decides of what a sum is opened, and so of whom it may be."""


@dataclass(frozen=True)
class WideForm:
    """counts: how many numbers of 64 bits. reals: how many of 256 bits, which follow them."""

    counts: int
    reals: int

    def __post_init__(self) -> None:
        if self.counts < 0 or self.reals < 0 or not 0 < self.words <= MOST_WORDS:
            raise WireError(f"a sum is of 1 to {MOST_WORDS} words; {self.counts} counts and {self.reals} reals came.")

    @property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """How many numbers, and of how many bits each, in order."""
        return (self.counts, COUNT_BITS), (self.reals, REAL_BITS)

    @property
    def numbers(self) -> int:
        """How many there are."""
        return self.counts + self.reals

    @property
    def words(self) -> int:
        """How many 32-bit words they take."""
        return sum(many * bits // WORD_BITS for many, bits in self.blocks)

    def pack(self, numbers: Sequence[int]) -> Words:
        """(words,) uint32. Raises OverflowError where a number has no room."""
        octets = b"".join(number.to_bytes(bits // 8, "little", signed=True) for number, bits in self._each(numbers))
        return np.frombuffer(octets, "<u4").astype(np.uint32)

    def unpack(self, words: Words) -> tuple[int, ...]:
        """The numbers of words."""
        octets, at, found = np.ascontiguousarray(words, "<u4").tobytes(), 0, []
        for many, bits in self.blocks:
            for _ in range(many):
                found.append(int.from_bytes(octets[at : at + bits // 8], "little", signed=True))
                at += bits // 8
        return tuple(found)

    def carried(self, sums: NDArray[np.int64]) -> Words:
        """(words,) uint32: the numbers whose words these are sums of, at most 2**31 each; modulo 2**bits."""
        words, at = np.empty(self.words, np.uint32), 0
        for many, bits in self.blocks:
            wide = bits // WORD_BITS
            place = slice(at, at + many * wide)
            words[place] = _carried(sums[place].reshape(many, wide)).reshape(-1)
            at += many * wide
        return words

    def demand_room(self, numbers: Sequence[int], hospitals: int) -> None:
        """Raise RefusedError where a number is so large that the sum of so many hospitals' could wrap round."""
        for number, bits in self._each(numbers):
            if abs(number) > ((1 << (bits - 1)) - 1) // max(hospitals, 1):
                raise RefusedError("numbers", f"a number of {number.bit_length()} bits has no room in {bits} bits.")

    def to_bytes(self) -> bytes:
        """As a hospital keeps it from leg to leg."""
        return b"%d %d" % (self.counts, self.reals)

    @classmethod
    def from_bytes(cls, raw: bytes) -> WideForm | None:
        """What `to_bytes` wrote; None of nothing."""
        return cls(*map(int, raw.split())) if raw else None

    def _each(self, numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
        if len(numbers) != self.numbers:
            raise ValueError(f"{len(numbers)} numbers came; the sum is of {self.numbers}.")
        yield from ((number, COUNT_BITS) for number in numbers[: self.counts])
        yield from ((number, REAL_BITS) for number in numbers[self.counts :])


def _carried(sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n, places) sums of words, lowest first, to words."""
    settled, carry = np.empty_like(sums), np.zeros(len(sums), np.int64)
    for place in range(sums.shape[1]):
        held = sums[:, place] + carry
        settled[:, place] = held & ((1 << WORD_BITS) - 1)
        carry = held >> WORD_BITS
    return settled


@dataclass(frozen=True)
class CollectedWide:
    """The total over `sites`; None where too few were left, each dropped with a reason. each: where they are seen."""

    total: tuple[int, ...] | None
    sites: tuple[SiteId, ...]
    each: Mapping[SiteId, tuple[int, ...]] | None = None
