"""An update as whole numbers below 2**value_bits, so that a sum of them is exact whatever adds them up.

Values of the model are clipped to +-largest_value, divided into steps and rounded up or down at random, so that
the rounding has no bias (Konecny et al. 2016, section 3). What is drawn for it follows from the values too: whoever
knew the draws, and had a step made far larger than most values, would see in the sum which single hospital's values
were rounded up, since those of others are known to be 0. Statistics are whole numbers of 64 bits already
(`common.sums.mean`) and travel exactly, cut into limbs of value_bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from common.errors import BeyondRangeError, StudyError, WireError
from common.sums.aggregations._agreement import Agreement
from common.sums.aggregations._keystream import STREAM_BYTES, RoundingDraws
from common.sums.mean import LARGEST_UNITS, UNITS_PER_ONE, Mean
from common.sums.update import Update

Words = NDArray[np.uint32]
Totals = NDArray[np.uint64]
WORD_BITS = 64
BLOCK_VALUES = 1 << 15
DRAWS = 1 << 16
SMALLEST_UNIT = 1e-100
"""Of one whole number: a coordinator may send any scale, and divided by less the values would not be finite."""
SMALLEST_RANGE = 1e-30
"""Of largest_value; one over it is the largest."""
ROUNDING = 1e-12
"""By how much the largest value may seem larger than it is, once divided."""
MOST_CLIPPED = 0.02
"""Share of values that may be cut to the range of a sum where no noise covers what that tells."""
CLIPPED = "training/clipped"
"""Statistic: the share of values beyond +-largest_value, which were clipped to it.

There is none where values lie on a step: they carry a share of noise that protects nobody but in the sum of all, and
how many of one hospital's lie beyond the range is a function of its own share alone.
"""


@dataclass(frozen=True)
class FixedPoint:
    """value_bits: of one whole number, at most 32 with the sum's headroom left to the protocol.

    largest_value: of a value u_k n_k / agreement.reach. margin: whole numbers left free at both ends, for noise.
    """

    value_bits: int
    largest_value: float
    margin: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.value_bits <= 32:
            raise StudyError(f"aggregation.value_bits must be between 2 and 32; it is {self.value_bits}.")
        if not SMALLEST_RANGE <= self.largest_value <= 1 / SMALLEST_RANGE:
            raise StudyError(
                f"aggregation.largest_value must be above 0, between {SMALLEST_RANGE:g} and {1 / SMALLEST_RANGE:g}, "
                f"since updates are float32; it is {self.largest_value:g}."
            )
        if self.levels < 1:
            raise StudyError(f"a margin of {self.margin} leaves no room in {self.value_bits} bits.")

    @property
    def levels(self) -> int:
        """How many steps lie between -largest_value and +largest_value."""
        return (1 << self.value_bits) - 1 - 2 * self.margin

    @property
    def step(self) -> float:
        """One whole number in units of a value; a hospital's rounding error is below one step."""
        return 2 * self.largest_value / self.levels

    @property
    def limbs(self) -> int:
        """Whole numbers for one 64-bit word."""
        return -(-WORD_BITS // self.value_bits)

    def length(self, agreement: Agreement) -> int:
        """How many whole numbers an update takes."""
        return agreement.values + self.limbs * len(_word_names(agreement))

    def encode(
        self, update: Update, agreement: Agreement, rng: np.random.Generator, most_clipped: float = 1.0
    ) -> Words:
        """(length,) uint32 below 2**value_bits.

        Raises WireError where the update does not fit the agreement, and BeyondRangeError where more than the share
        `most_clipped` of its values would be cut.
        """
        if len(update.vectors) != agreement.vectors or any(v.size != agreement.length for v in update.vectors):
            raise WireError("the server expects an update of another model.")
        if not SMALLEST_UNIT < self.unit(agreement) < 1 / SMALLEST_UNIT:
            raise WireError("the scale or the step of the sum leaves no number that can be divided by.")
        words = np.empty(self.length(agreement), np.uint32)
        clipped = self._values(update, agreement, words[: agreement.values], rng)
        if clipped > most_clipped:
            raise BeyondRangeError(f"{clipped:.0%} of the update's values are beyond the range of the sum.")
        means = {**update.statistics, "weight": Mean(0, round(update.weight * UNITS_PER_ONE))}
        if _tells_clipped(agreement):
            means[CLIPPED] = Mean.of([clipped], [float(update.weight > 0)])
        words[agreement.values :] = self._limbs(means, agreement)
        return words

    def decode(self, totals: Totals, count: int, agreement: Agreement) -> Update:
        """The sum of `count` hospitals' updates from the sums of their words, (length,) uint64.

        Raises WireError for a sum that no words of so many hospitals add up to: what one of them may add is bounded.
        """
        if totals.size and int(totals.max()) > count * ((1 << self.value_bits) - 1):
            raise WireError(f"a value is beyond what {count} hospitals can add up to.")
        steps = totals[: agreement.values].astype(np.float64) - float(count) * (self.margin + self._middle(agreement))
        values = steps * self.unit(agreement)
        vectors = tuple(np.split(values, agreement.vectors)) if agreement.vectors else ()
        statistics = self._statistics(totals[agreement.values :], agreement)
        weight = statistics.pop("weight").weight
        return Update(vectors, weight, statistics)

    def largest_error(self, count: int, agreement: Agreement) -> float:
        """Bound of the sum's error in any coordinate, where nothing was clipped."""
        return 0.0 if agreement.step is not None else count * self.step * agreement.reach

    def unit(self, agreement: Agreement) -> float:
        """One whole number in units of what is added up."""
        return self.step * agreement.reach if agreement.step is None else agreement.step

    def _middle(self, agreement: Agreement) -> float:
        """The whole number, or the half between two, that stands for 0; whole where values are whole steps."""
        return self.levels / 2 if agreement.step is None else float(self.levels // 2)

    def _values(self, update: Update, agreement: Agreement, words: Words, rng: np.random.Generator) -> float:
        """Write the values into `words`; the share of them that was clipped."""
        stream = _stream(update, rng) if agreement.step is None else rng.bytes(STREAM_BYTES)
        rounding = _Rounding(1.0 / self.unit(agreement), self._middle(agreement), self.margin, stream)
        beyond = 0
        for index, vector in enumerate(update.vectors):
            place = words[index * agreement.length : (index + 1) * agreement.length]
            for start in range(0, agreement.length, BLOCK_VALUES):
                block = slice(start, start + BLOCK_VALUES)
                beyond += rounding.write(vector[block], place[block])
        return beyond / max(agreement.values, 1)

    def _limbs(self, means: dict[str, Mean], agreement: Agreement) -> Words:
        names = _word_names(agreement)
        unknown = set(means) - {name for name, _ in names}
        if unknown:
            raise WireError(f"{len(unknown)} statistics have no place in what the server adds up.")
        limbs: list[int] = []
        for name, part in names:
            mean = means.get(name, Mean())
            word = (mean.total_units, mean.weight_units)[part] % (1 << WORD_BITS)
            limbs += [(word >> (self.value_bits * k)) % (1 << self.value_bits) for k in range(self.limbs)]
        return np.array(limbs, dtype=np.uint32)

    def _statistics(self, totals: Totals, agreement: Agreement) -> dict[str, Mean]:
        words = [
            sum(int(limb) << (self.value_bits * k) for k, limb in enumerate(limbs)) % (1 << WORD_BITS)
            for limbs in totals.reshape(-1, self.limbs)
        ]
        found: dict[str, list[int]] = {}
        for (name, _), word in zip(_word_names(agreement), words, strict=True):
            found.setdefault(name, []).append(word - (1 << WORD_BITS) if word >> (WORD_BITS - 1) else word)
        return {name: _mean(name, *pair) for name, pair in found.items()}


class _Rounding:
    """Values to whole numbers, up or down at random, a block at a time in memory that stays in the cache.

    middle: the largest step from 0, and what 0 becomes but for the margin. Draws have 16 bits, so the rounding's bias
    is at most 2**-17 of a step; whole steps stay as they are.
    """

    def __init__(self, steps_per_unit: float, middle: float, margin: int, stream: bytes) -> None:
        self._steps_per_unit, self._middle = steps_per_unit, middle
        self._offset = middle + 0.5 / DRAWS + margin
        self._signed = middle + self._offset < 1 << 31
        self._draws = RoundingDraws(stream, BLOCK_VALUES)
        self._steps, self._parts = np.empty(BLOCK_VALUES), np.empty(BLOCK_VALUES)

    def write(self, values: NDArray[np.floating], words: Words) -> int:
        """(n,) values to (n,) words, n at most BLOCK_VALUES. How many were clipped."""
        steps, parts = self._steps[: values.size], self._parts[: values.size]
        # A copy and a product in place take less time than a product that changes the type.
        np.copyto(steps, values)
        np.multiply(steps, self._steps_per_unit, out=steps)
        beyond = self._clip(steps, float(values.min()), float(values.max()))
        np.copyto(parts, self._draws.next(values.size))
        np.multiply(parts, 1 / DRAWS, out=parts)
        np.add(steps, parts, out=steps)
        np.add(steps, self._offset, out=steps)
        np.copyto(words.view(np.int32) if self._signed else words, steps, casting="unsafe")
        return beyond

    def _clip(self, steps: NDArray[np.float64], low: float, high: float) -> int:
        """In place. low, high: of the values."""
        if not (isfinite(low) and isfinite(high)):
            raise WireError("an update that is not finite cannot be added up.")
        largest, beyond = max(high, -low) * self._steps_per_unit, 0
        if largest > self._middle * (1 + ROUNDING):
            beyond = int(np.count_nonzero(np.abs(steps) > self._middle * (1 + ROUNDING)))
        if largest > self._middle:
            np.clip(steps, -self._middle, self._middle, out=steps)
        return beyond


def _stream(update: Update, rng: np.random.Generator) -> bytes:
    """Of draws that nobody foresees who does not know all of the update, and that are the same for the same one."""
    digest = sha256(rng.bytes(STREAM_BYTES))
    for vector in update.vectors:
        with np.errstate(over="ignore"):
            digest.update(np.ascontiguousarray(vector, "<f4").data)
    return digest.digest()[:STREAM_BYTES]


def _word_names(agreement: Agreement) -> list[tuple[str, int]]:
    """What each 64-bit word is: a statistic's total (0) or weight (1), in order."""
    own = ("weight", CLIPPED) if _tells_clipped(agreement) else ("weight",)
    return [(name, part) for name in (*own, *agreement.names) for part in (0, 1)]


def _tells_clipped(agreement: Agreement) -> bool:
    return agreement.vectors > 0 and agreement.step is None


def _mean(name: str, total: int, weight: int) -> Mean:
    if abs(total) > LARGEST_UNITS or not 0 <= weight <= LARGEST_UNITS:
        raise WireError(f"the sum of statistic {name} is out of range.")
    return Mean(total, weight)
