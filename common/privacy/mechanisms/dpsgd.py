"""DP-SGD in every hospital: each patient's gradient is clipped, and noise for one patient is added in every step.

Abadi et al. 2016, "Deep learning with differential privacy", algorithm 1. A step takes every unit with the same
chance, on its own (a Poisson sample, at times an empty one); of a patient it takes one random case. The gradient of
each is clipped to `clip_norm` in L2, so that adding or removing one patient, with all of its cases, changes a step's
sum by at most clip_norm; the sum gets Gaussian noise of standard deviation noise_multiplier * clip_norm in every
coordinate. Whatever follows (momentum, proximal terms, rounding, sums with others) is worked out from noisy sums.

*Companion.* A teacher that declares to follow what is learned (`follows_parameters`) moves after each noisy step and
by nothing else: it is a function of noisy sums (post-processing), and leaves without noise of its own. A centre of
cases' features would not be: whatever a loss does to it is undone (`client.private_training`).

*Views.* However many views a task draws of a case, its loss is one number and its gradient is clipped once.

The promise holds towards everyone, the coordinator included. Counts of patients and cases are public, and weights
follow from them; training's loss is not told. Scores of evaluation are of other patients, and are not covered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from common.errors import StudyError
from common.privacy.accounting import check_delta, noise_for
from common.privacy.mechanism import AtHospital, Facts, Mechanism, Place
from common.privacy.noise import gaussian
from common.privacy.noise_source import NoiseSource
from common.privacy.release import Release, Unit
from common.privacy.sampling import PoissonSteps, sampling_rate, steps_a_round
from common.study.checks import one_of, positive, probability
from common.sums.update import Update, Vector


@dataclass(frozen=True)
class Dpsgd:
    """unit: "patient" or "sample", a case. clip_norm: of one unit's gradient.

    Either noise_multiplier (over clip_norm) or epsilon, for all rounds, with delta; each hospital then works out its
    own noise from its number of units. A step expects training.batch_size units.
    """

    place: ClassVar[Place] = "hospital"
    secret_rounding: ClassVar[bool] = False
    """Rounding comes after the noise and looks at nothing else."""
    repeatable: ClassVar[bool] = True
    """Of one hospital alone its noise is enough, so that the same update may be sent again in any other sum."""
    unit: Unit = "patient"
    clip_norm: float = 1.0
    noise_multiplier: float | None = None
    epsilon: float | None = None
    delta: float = 1e-5

    def __post_init__(self) -> None:
        one_of("privacy", ("patient", "sample"), unit=self.unit)
        probability("privacy", delta=self.delta)
        positive("privacy", clip_norm=self.clip_norm)
        positive("privacy", noise_multiplier=self.noise_multiplier, epsilon=self.epsilon)
        if (self.noise_multiplier is None) == (self.epsilon is None):
            raise StudyError("privacy 'dpsgd' takes noise_multiplier or epsilon, and not both.")

    def check(self, facts: Facts) -> None:
        """Raise StudyError where a hospital has no units, or delta promises nothing to them."""
        units = self.units(facts)
        if units < 1:
            raise StudyError(f"privacy 'dpsgd' needs a {self.unit} to train on; a hospital has none.")
        check_delta(self.delta, units)

    def units(self, facts: Facts) -> int:
        """How many units the hospital trains on."""
        return facts.patients if self.unit == "patient" else facts.cases

    def sampling_rate(self, facts: Facts) -> float:
        """Chance of each unit to be in a step."""
        return sampling_rate(facts.training.batch_size, self.units(facts))

    def steps_a_round(self, facts: Facts) -> int:
        """Noisy sums made in one round."""
        return steps_a_round(facts.training, facts.sends, self.sampling_rate(facts))

    def noise(self, facts: Facts) -> float:
        """Noise multiplier of each step."""
        if self.noise_multiplier is not None:
            return self.noise_multiplier
        assert self.epsilon is not None
        steps = facts.rounds * self.steps_a_round(facts)
        return noise_for(self.epsilon, self.delta, self.sampling_rate(facts), steps)

    def round_releases(self, facts: Facts) -> tuple[Release, ...]:
        """As many noisy sums as steps."""
        return (Release(self.noise(facts), self.sampling_rate(facts), self.steps_a_round(facts)),)

    def poisson(self, facts: Facts) -> PoissonSteps:
        """As the hospital draws in a round."""
        return PoissonSteps(self.sampling_rate(facts), self.steps_a_round(facts))

    def noised(self, total: Vector, facts: Facts, source: NoiseSource) -> Vector:
        """(P,) float32: a step's clipped sum with Gaussian noise in every coordinate."""
        return gaussian(self.noise(facts) * self.clip_norm, source)(total)

    def hospital_update(self, at: AtHospital) -> tuple[Update, int]:
        """Hospital half: one noisy sum, or local steps along as many as `round_releases` counts."""
        facts, source = at.facts, at.noise("noise")
        steps = at.steps(
            self.unit, self.sampling_rate(facts), self.clip_norm, lambda total: self.noised(total, facts, source)
        )
        return (steps.gradient_update(), 1) if at.sends == "gradient" else steps.local_update()


mechanism: type[Mechanism] = Dpsgd
