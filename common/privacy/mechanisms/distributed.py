"""Distributed noise: each hospital adds its share, and only the sum, under masks or encryption, carries all of it.

For rounds in the way of FedSGD. All hospitals together draw one Poisson sample: each takes each of its patients with
chance `sampling_rate`, one random case of each taken. The gradients of these patients are clipped to `clip_norm` in
L2 and added up; a hospital's sum is rounded to whole multiples of a grid gamma, a power of two near
clip_norm * 2**-grid_bits, and whole numbers of noise are added: a discrete Gaussian of parameter
sigma / sqrt(fewest - colluding), `fewest` being the study's federation.noise_shares.

*Sensitivity.* Adding or removing one patient changes one hospital's sum by at most clip_norm, and rounding each of P
coordinates to the nearest moves them by less than one more step together with the neighbour's rounding: in whole
numbers by at most Delta = clip_norm / gamma + sqrt(P) in L2. sigma is noise_multiplier * Delta.

*Mechanism.* The coordinator gets only the sum over at least `fewest` hospitals. If `colluding` of them tell it their
own shares, fewest - colluding independent discrete Gaussians are left, whose sum differs from one discrete Gaussian
of parameter sigma by a factor of at most exp(tau), tau = 10 sum_k exp(-2 pi^2 s^2 k / (k + 1)) in every coordinate
with s the parameter of a share (Kairouz, Liu and Steinke 2021, "The distributed discrete Gaussian mechanism",
theorem 1). s is in the thousands here, so tau is 0 to double precision; settings for which it is not are refused
(`common.privacy.losses.check_lattice`). A discrete Gaussian has the Renyi divergences of the continuous one or less
(Canonne, Kamath and Steinke 2020, theorem 4).

*Room.* A share travels as whole numbers of limited size. Each hospital cuts its clipped sum, before the noise, to
what the range leaves beside the noise's room; and that room is so large that any value of any hospital's noise goes
beyond it in any round with a chance that 1/100 of delta pays for (`common.privacy.noise_range`): noise that is asked
for by epsilon is made for the other 99/100. What comes after is a function of the noisy sum alone.

*Weight.* What travels is the expected number of patients, sampling_rate times all of them: a public number where the
study names federation.expected_patients, else the hospital's own, which is then taken to be public.

*Companion.* No single hospital's steps have noise enough, so that a teacher that followed them would be exact: it
would give away what the sum hides. Rounds are of one gradient, in which no companion moves; studies with one are
refused.

*Composition* is over rounds, by `common.privacy.accounting`. Where an aggregation lets the coordinator read single
updates, it sees one share of noise alone: the release is then counted with noise_multiplier / sqrt(fewest -
colluding), and that is what the report promises.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, floor, log2, sqrt
from typing import ClassVar

from common.errors import StudyError
from common.privacy.accounting import check_delta, epsilon_of, noise_for
from common.privacy.losses import check_lattice
from common.privacy.mechanism import AtHospital, Facts, Mechanism, Place
from common.privacy.noise_range import noise_room, share_of
from common.privacy.release import Release, Unit
from common.privacy.sampling import PoissonSteps
from common.privacy.variation import LEAST_CHARGE, affordable
from common.study.checks import between, non_negative, positive, probability
from common.sums.update import Update

GRID_BITS = (6, 20)


@dataclass(frozen=True)
class Distributed:
    """clip_norm: of one patient's gradient. Either noise_multiplier (of the whole sum, over the sensitivity) or
    epsilon, for all rounds, with delta. colluding: hospitals whose share of noise may be known to the coordinator.
    spare_rounds: how many may be asked for again, as after a hospital's crash; each is paid for as a round more.

    sampling_rate: the chance of each patient to be in a round. grid_bits: binary digits behind the point of the
    grid that values and noise are rounded to, in units of clip_norm.
    """

    place: ClassVar[Place] = "shares"
    secret_rounding: ClassVar[bool] = False
    """Values and noise are whole multiples of the grid by rounding to nearest; no sum rounds them again."""
    clip_norm: float = 1.0
    sampling_rate: float = 0.1
    noise_multiplier: float | None = None
    epsilon: float | None = None
    delta: float = 1e-5
    colluding: int = 0
    grid_bits: int = 14
    spare_rounds: int = 0

    def __post_init__(self) -> None:
        probability("privacy", delta=self.delta)
        positive("privacy", clip_norm=self.clip_norm, sampling_rate=self.sampling_rate)
        positive("privacy", noise_multiplier=self.noise_multiplier, epsilon=self.epsilon)
        between("privacy", 0, 1, sampling_rate=self.sampling_rate)
        between("privacy", *GRID_BITS, grid_bits=self.grid_bits)
        non_negative("privacy", colluding=self.colluding, spare_rounds=self.spare_rounds)
        if (self.noise_multiplier is None) == (self.epsilon is None):
            raise StudyError("privacy 'distributed' takes noise_multiplier or epsilon, and not both.")

    @property
    def unit(self) -> Unit:
        """All data of one patient."""
        return "patient"

    @property
    def grid(self) -> float:
        """gamma: a power of two, so that multiples of it are exact in float32."""
        return float(2.0 ** (floor(log2(self.clip_norm)) - self.grid_bits))

    def check(self, facts: Facts) -> None:
        """Raise StudyError where delta promises nothing, or no sum is left that hides a share."""
        check_delta(self.delta, facts.patients)
        if self._shares(facts) < 2:
            raise StudyError(
                "privacy 'distributed' needs two honest hospitals or more in every round: "
                f"federation.noise_shares - privacy.colluding must be 2 or more; it is {self._shares(facts)}."
            )
        share = self.share_sigma(facts, 1)
        check_lattice(share * sqrt(self._shares(facts)), share)

    def noise(self, facts: Facts) -> float:
        """Noise multiplier of the whole sum."""
        if self.noise_multiplier is not None:
            return self.noise_multiplier
        assert self.epsilon is not None
        delta = self.delta * (1 - LEAST_CHARGE)
        return noise_for(self.epsilon, delta, self.sampling_rate, self._rounds(facts), "discrete gaussian")

    def sensitivity(self, parameters: int) -> float:
        """Delta, in whole numbers, of sums of so many parameters."""
        return self.clip_norm / self.grid + sqrt(parameters)

    def share_sigma(self, facts: Facts, parameters: int) -> float:
        """Parameter of one hospital's discrete Gaussian, in whole numbers."""
        return self.noise(facts) * self.sensitivity(parameters) / sqrt(max(self._shares(facts), 1))

    def round_releases(self, facts: Facts) -> tuple[Release, ...]:
        """One noisy sum; of a single hospital's share of noise where single updates can be read."""
        return (replace(self._described(facts), variation=self._variation(facts) / self._rounds(facts)),)

    def poisson(self, facts: Facts) -> PoissonSteps:
        """One sample a round, of the rate that all hospitals share."""
        return PoissonSteps(self.sampling_rate, 1)

    def hospital_update(self, at: AtHospital) -> tuple[Update, int]:
        """Hospital half: whole multiples of the grid, the clipped sum and this hospital's share of the noise."""
        total = at.steps(self.unit, self.sampling_rate, self.clip_norm).clipped_sum()
        facts, source = at.facts, at.noise("noise")
        largest = self.value_room(facts, total.size, at.room)
        noise = source.discrete_gaussian(total.size, self.share_sigma(facts, total.size))
        share = share_of(total, self.grid, largest, noise)
        return Update((share,), self.sampling_rate * facts.patients), 1

    def noise_room(self, facts: Facts, parameters: int) -> int:
        """Whole numbers beyond which no noise goes but with a chance that delta pays for, in all rounds together."""
        draws = parameters * facts.hospitals * self._rounds(facts)
        return noise_room(self.share_sigma(facts, parameters), draws, self._variation(facts))

    def value_room(self, facts: Facts, parameters: int, most: int) -> int:
        """To how many whole numbers a clipped sum is cut where a share may have `most`.

        Raises StudyError, with settings that fit, where that is less than one patient may bring.
        """
        room = most - self.noise_room(facts, parameters)
        if room >= self.clip_norm / self.grid:
            return room
        wanted = ceil(self.clip_norm / self.grid) + self.noise_room(facts, parameters)
        raise StudyError(
            f"privacy.grid_bits = {self.grid_bits} makes shares of up to {wanted} whole numbers, noise cut with "
            f"a chance that 1/100 of delta pays for, and the aggregation has room for {most}: "
            f"{self._what_fits(facts, parameters, most, wanted)}"
        )

    def _what_fits(self, facts: Facts, parameters: int, most: int, wanted: int) -> str:
        for bits in range(self.grid_bits - 1, GRID_BITS[0] - 1, -1):
            coarser = replace(self, grid_bits=bits)
            if most - coarser.noise_room(facts, parameters) >= coarser.clip_norm / coarser.grid:
                return f"privacy.grid_bits = {bits} fits, or value_bits = {wanted.bit_length() + 1}."
        return f"value_bits = {wanted.bit_length() + 1} fits, and no grid_bits does."

    def _described(self, facts: Facts) -> Release:
        """What a round lets out if no noise is ever cut."""
        seen = self.noise(facts) / (sqrt(max(self._shares(facts), 1)) if facts.reveals == "each" else 1.0)
        return Release(seen, self.sampling_rate, 1, "discrete gaussian")

    def _variation(self, facts: Facts) -> float:
        """The chance, in all rounds together, that any noise is cut."""
        whole = replace(self._described(facts), steps=self._rounds(facts))
        return affordable(epsilon_of([whole], self.delta * (1 - LEAST_CHARGE)).epsilon, self.delta)

    def _rounds(self, facts: Facts) -> int:
        return facts.rounds + self.spare_rounds

    def _shares(self, facts: Facts) -> int:
        return facts.fewest - self.colluding


mechanism: type[Mechanism] = Distributed
