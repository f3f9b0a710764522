"""A study's own private trainer at one hospital, opened again in simulation, with an auditor's hand in its sums."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from client.clipping import Whole, clip_and_add
from client.hospital import Hospital
from client.private_training import PrivateTrainer
from common.data.cases import Cases, concatenate
from common.learning.parameters import Layout, read
from common.privacy.accounting import epsilon_of
from common.privacy.facts import mechanism_of
from common.privacy.mechanisms.dpsgd import Dpsgd
from common.privacy.noise import SeededNoise
from common.privacy.release import Release
from common.seeding import generator
from common.study.expected_patients import expected_patients
from common.study.study import Study
from common.sums.update import Vector
from experiments.attacks.membership.shadows import local_training
from experiments.attacks.membership.target import Target
from experiments.evidence.ground_truth import facts_of_hospital


@dataclass
class Hand:
    """What goes into the next sum, and what came of it."""

    gradients: Iterator[NDArray[np.float32]] = field(default_factory=lambda: iter(()))
    own: Vector = field(default_factory=lambda: np.zeros(0, np.float32))
    released: Vector = field(default_factory=lambda: np.zeros(0, np.float32))


@dataclass(frozen=True)
class HandedTrainer(PrivateTrainer):
    """The hospital's trainer; nothing is changed but that more gradients are clipped, by its own code, and added."""

    hand: Hand = field(default_factory=Hand)

    def clipped_sum(self) -> Vector:
        """(P,) of the sampled units and the auditor's gradients."""
        own = super().clipped_sum()
        total = own.copy()
        for gradients in self.hand.gradients:
            total += clip_and_add([Whole(torch.from_numpy(gradients))], self.clip_norm)
        self.hand.own = own
        return total

    def noisy_sum(self) -> Vector:
        """(P,) as released."""
        self.hand.released = super().noisy_sum()
        return self.hand.released


@dataclass(frozen=True)
class TrainerSteps:
    """The trainer as `experiments.access.PrivateSteps`: one step of its training at a time.

    An adaptive optimiser begins anew with every step; that moves the model differently, and releases as much.
    """

    trainer: HandedTrainer

    @property
    def length(self) -> int:
        """P."""
        return Layout.of(self.trainer.network).length

    @property
    def clip_norm(self) -> float:
        """As the mechanism has it."""
        return self.trainer.clip_norm

    @property
    def sampling_rate(self) -> float:
        """As the mechanism has it."""
        return self.trainer.sampling_rate

    def step(self, gradients: Iterator[NDArray[np.float32]]) -> tuple[Vector, Vector]:
        """The released sum, and the hospital's own part of it before noise."""
        self.trainer.hand.gradients = gradients
        self.trainer.train()
        return self.trainer.hand.released, self.trainer.hand.own

    def losses(self, cases: Cases) -> NDArray[np.float64]:
        """Of the model as it is by now."""
        return Target(self.trainer.task, deepcopy(self.trainer.network)).losses(read(self.trainer.network), cases)


@dataclass(frozen=True)
class Repeatable:
    """A hospital's private training as `experiments.access.PrivateTraining`, by its own trainer or one like it."""

    hospital: Hospital
    mechanism: Dpsgd
    trainer: type[HandedTrainer] = HandedTrainer

    @property
    def steps(self) -> int:
        """Noisy sums in the whole study."""
        facts = facts_of_hospital(self.hospital)
        return self.mechanism.steps_a_round(facts) * facts.rounds

    @property
    def delta(self) -> float:
        """Of the promise."""
        return self.mechanism.delta

    @property
    def cases(self) -> Cases:
        """Of training."""
        return self.hospital.train

    def claimed(self, steps: int) -> float:
        """The epsilon that is promised for so many noisy sums."""
        facts = facts_of_hospital(self.hospital)
        release = Release(self.mechanism.noise(facts), self.mechanism.sampling_rate(facts), steps)
        return epsilon_of([release], self.mechanism.delta).epsilon

    def begun(self, more: Cases | None = None) -> TrainerSteps:
        """From the study's first model."""
        return trainer_steps(self.hospital, self.mechanism, self.trainer, more)


def audited_mechanism(study: Study) -> Dpsgd | None:
    """The study's mechanism where it adds noise for single patients or cases inside every hospital, else None."""
    mechanism = mechanism_of(study)
    return mechanism if isinstance(mechanism, Dpsgd) else None


def trainer_steps(
    hospital: Hospital,
    mechanism: Dpsgd,
    trainer: type[HandedTrainer] = HandedTrainer,
    more: Cases | None = None,
) -> TrainerSteps:
    """Ready to train from the study's first model, on this hospital's cases and `more`, with seeded noise.

    Rates and noise stay those of the hospital's own cases.
    """
    facts, study = facts_of_hospital(hospital), hospital.study
    cases = hospital.train if more is None else concatenate([hospital.train, more])
    return TrainerSteps(
        trainer(
            hospital.task,
            deepcopy(hospital.network),
            cases,
            replace(local_training(study), steps=1),
            clip_norm=mechanism.clip_norm,
            noise_multiplier=mechanism.noise(facts),
            unit=mechanism.unit,
            sampling_rate=mechanism.sampling_rate(facts),
            rng=generator(study.seed, hospital.site, "audit sampling"),
            noise=SeededNoise(generator(study.seed, hospital.site, "audit noise")),
            public_size=expected_patients(study.federation, hospital.site),
        )
    )
