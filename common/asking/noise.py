"""Noise on sums: what a hospital adds to its part, and what it costs a person in it.

*Neighbours* differ by all rows of one person, at one hospital, there or not. Of each person `rows_a_person` rows are
used, the first ones. A row changes a part by `Part.most_by_one` at most, all entries' changes added up.

*Whole numbers.* Noise is a whole number of steps: of 1 for counts, of a power of two for real numbers, small beside
what one person can change; a hospital's sum is rounded to steps first, which moves every entry of a part by less than
one step more, and that is added to the sensitivity. No float is ever part of a sum (Mironov 2012).

*Geometric*: of the scale sensitivity / epsilon. Each hospital adds a difference of two Pólya numbers, so that those
of `shares` hospitals make the noise exactly (`common.privacy.polya`), and delta is 0. *Gaussian*: discrete Gaussian
shares (`common.privacy.discrete_gaussian`). Their sum is one discrete Gaussian, and that a Gaussian of variance
sigma^2 - s^2 rounded at random, each to within a factor 1 +- 1e-18 an entry (`common.privacy.losses`; s = 1.5 here,
and shares of 3 or more); it is made and charged as that Gaussian.

*Shares* are hospitals whose noise is counted on: the fewest that a sum is opened for, less those that may collude
with the coordinator. Where the coordinator reads single answers it is 1: each hospital adds all of it. Hospitals
that answer beyond these make more noise, never less privacy.

*Several parts* of one query have epsilon divided evenly between them, but for those of which one row changes one only
(`Query.either`): these share it. *Rounds* divide it as well: evenly, or as Gaussians compose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor, inf, log2, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from common.asking.exact_sums import FRACTION_BITS, Integers, Part, Total, object_array
from common.asking.noise_law import Kind, NoiseLaw
from common.errors import StudyError
from common.privacy.accounting import check_delta, noise_for
from common.privacy.polya import LEAST_DECAY
from common.privacy.release import Release
from common.privacy.variation import LEAST_CHARGE
from common.study.checks import positive

if TYPE_CHECKING:
    from common.asking.analysis import Query
    from common.asking.records import Records
    from common.privacy.noise_source import IntegerNoise
    from common.sums.exchange import Reveals

STEPS_A_PERSON_BITS = 10
"""An entry's rounding costs 1 / 2**10 of the noise at most."""
_DECAY_BITS = 30
_SPARE_BITS = 10
"""Of a number's range, a hospital's value and its noise take 2**-10 each: sums of 250 hospitals cannot wrap."""
_ROUNDING_SIGMA, _LEAST_SHARE_SIGMA = 1.5, 3.0
_OFF = 1e-12
"""Total variation of a query of a million entries from the Gaussian that it is charged as, at most."""


@dataclass(frozen=True)
class PartNoise:
    """Noise of one part. step_units: units of a sum in one step. scale: of the whole noise in steps."""

    kind: Kind
    step_units: int
    scale: Fraction
    shares: int
    bits: int

    def noisy(self, values: Integers, source: IntegerNoise) -> Integers:
        """A hospital's numbers, rounded to steps, with its share of noise; none is beyond the range of a sum."""
        room = (1 << self.bits - _SPARE_BITS) // self.step_units
        noise = self._share(values.size, source)
        steps = [(2 * int(value) + self.step_units) // (2 * self.step_units) for value in values.ravel().tolist()]
        found = [
            (_cut(step, room) + _cut(more, room)) * self.step_units for step, more in zip(steps, noise, strict=True)
        ]
        return object_array(found, values.shape)

    def _share(self, size: int, source: IntegerNoise) -> list[int]:
        if self.kind == "gaussian":
            drawn = source.discrete_gaussian(size, float(self.scale) / sqrt(self.shares))
        else:
            drawn = source.geometric_share(size, 1 / self.scale, self.shares)
        return [int(one) for one in drawn.tolist()]


@dataclass(frozen=True)
class SumNoise:
    """epsilon, delta: of all rounds of a question together. shares: hospitals whose noise is counted on.

    rows_a_person: how many rows of one person are used. rounds: the most queries that the question takes.
    """

    epsilon: float
    delta: float = 0.0
    kind: Kind = "geometric"
    shares: int = 1
    rows_a_person: int = 1
    rounds: int = 1

    def __post_init__(self) -> None:
        positive(
            "noise", epsilon=self.epsilon, shares=self.shares, rows_a_person=self.rows_a_person, rounds=self.rounds
        )
        if self.kind not in ("geometric", "gaussian"):
            raise StudyError(f"noise is 'geometric' or 'gaussian'; it is {self.kind!r}.")
        if self.kind == "gaussian":
            check_delta(self.delta)
        elif self.delta:
            raise StudyError(f"geometric noise keeps delta = 0; delta is {self.delta!r}. Gaussian noise needs one.")

    def of_shares(self, reveals: Reveals, fewest: int, colluding: int = 0) -> SumNoise:
        """The same where the coordinator reads single answers, or sums over `fewest` hospitals or more.

        Raises StudyError where no honest hospital's share is left to count on.
        """
        if fewest <= colluding:
            raise StudyError(f"no noise is left: {fewest} hospitals make it, and {colluding} may collude.")
        return replace(self, shares=fewest - colluding if reveals == "sum" else 1)

    def rows_of(self, records: Records) -> tuple[Records, int]:
        """The rows that are used, and how many are not: that number is for the hospital alone."""
        seen: dict[str, int] = {}
        kept = np.zeros(len(records), dtype=np.bool_)
        for row, person in enumerate(records.persons.tolist()):
            seen[person] = seen.get(person, 0) + 1
            kept[row] = seen[person] <= self.rows_a_person
        return records.take(kept), int((~kept).sum())

    def add_share(self, query: Query, integers: Mapping[str, Integers], source: IntegerNoise) -> dict[str, Integers]:
        """Hospital half: its part of every sum, as `checked` gives it, with its share of noise.

        Raises StudyError where a part has no bound.
        """
        return {
            name: integers[name] if noise is None else noise.noisy(integers[name], source)
            for name, noise in self.plan(query).items()
        }

    def told(self, query: Query, total: Total, hospitals: int) -> Total:
        """Server half: the sum over so many hospitals, with the law of its noise."""
        laws = {name: noise for name, noise in self.plan(query).items() if noise is not None}
        shape = hospitals / self.shares
        return replace(total, noise={name: _law(query.parts[name], noise, shape) for name, noise in laws.items()})

    def plan(self, query: Query) -> dict[str, PartNoise | None]:
        """Noise of every part; None for one that no row changes. Raises StudyError for one without a bound."""
        changed = [name for name, part in query.parts.items() if self._most(part) != 0]
        groups = len([name for name in changed if name not in query.either])
        groups += any(name in query.either for name in changed)
        return {name: self._of(name, part, groups) if name in changed else None for name, part in query.parts.items()}

    def releases(self) -> tuple[Release, ...]:
        """What all rounds together cost, for the ledger."""
        if self.kind == "geometric":
            return (Release(1 / self.epsilon, 1.0, 1, "geometric"),)
        return (Release(self._multiplier, 1.0, self.rounds, "gaussian", _OFF),)

    def event(self) -> Any:
        """The same as a `dp_accounting.DpEvent`. Of a count, geometric noise tells as much as (epsilon, 0) ever can.

        Continuous Laplace noise tells less, and would be too good an event.
        """
        from dp_accounting import dp_event

        if self.kind == "geometric":
            return dp_event.DiscreteLaplaceDpEvent(self.epsilon, 1)
        return dp_event.SelfComposedDpEvent(dp_event.GaussianDpEvent(self._multiplier), self.rounds)

    @property
    def _multiplier(self) -> float:
        return noise_for(self.epsilon, self.delta * (1 - LEAST_CHARGE), 1.0, self.rounds)

    def _most(self, part: Part) -> float | None:
        """By how much all rows of a person can change it."""
        if part.most_by_one is None:
            return None
        first = part.most_by_one if part.most_by_first is None else part.most_by_first
        return first + (self.rows_a_person - 1) * part.most_by_one

    def _of(self, name: str, part: Part, groups: int) -> PartNoise:
        bound = self._most(part)
        if bound is None or not 0 < bound < inf:
            raise StudyError(
                f"part {name!r} has no bound on what one row can change, so that no noise makes it private: "
                f"an analysis of bounded values is needed; the bound is {part.most_by_one!r}."
            )
        most = Fraction(bound)
        step = Fraction(1) if part.kind == "counts" else _step(most / part.size)
        step_units = int(step * part.units)
        if self.kind == "geometric":
            scale = self._geometric_scale(ceil(most / step) + (part.size if part.kind == "reals" else 0), groups)
        else:
            rounding = sqrt(part.size) if part.kind == "reals" else 0.0
            scale = self._gaussian_scale(ceil(most / step) + rounding, groups)
        return PartNoise(self.kind, step_units, scale, self.shares, part.bits)

    def _geometric_scale(self, sensitivity: int, groups: int) -> Fraction:
        """One over the decay, which is rounded to few bits, downwards: more noise."""
        decay = Fraction(self.epsilon) / (sensitivity * groups * self.rounds)
        unit = Fraction(2) ** (floor(log2(decay)) - _DECAY_BITS)
        decay = decay // unit * unit
        if decay < LEAST_DECAY:
            raise StudyError(f"epsilon = {self.epsilon:g} is too small for geometric noise in this question.")
        return 1 / decay

    def _gaussian_scale(self, sensitivity: float, groups: int) -> Fraction:
        sigma = sqrt((self._multiplier * sensitivity) ** 2 * groups + _ROUNDING_SIGMA**2)
        return Fraction(max(sigma, _LEAST_SHARE_SIGMA * sqrt(self.shares)))


def _step(most: Fraction) -> Fraction:
    """The largest power of two so that what one person can change is 2**10 steps or more; a unit at the least."""
    exponent = floor(log2(most)) - STEPS_A_PERSON_BITS
    return Fraction(2) ** max(exponent, -FRACTION_BITS)


def _law(part: Part, noise: PartNoise, shape: float) -> NoiseLaw:
    return NoiseLaw(noise.kind, float(Fraction(noise.step_units, part.units)), float(noise.scale), shape)


def _cut(value: int, room: int) -> int:
    return max(-room, min(room, value))
