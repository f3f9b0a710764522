"""A study's own private trainer at one hospital, opened again in simulation, with an auditor's hand in its sums."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from client.clipping import Whole, clip_and_add
from client.hospital import Hospital
from client.private_training import PrivateTrainer
from common.data.cases import Cases, concatenate
from common.learning.parameters import read, trainable
from common.privacy.abilities import abilities, no_noisy_steps
from common.privacy.mechanism import Mechanism
from common.privacy.noise import SeededNoise
from common.privacy.noise_source import NoiseSource
from common.privacy.release import Release
from common.privacy.study_facts import mechanism_of
from common.seeding import generator
from common.study.expected_patients import expected_patients
from common.study.study import Study
from common.sums.update import Vector
from experiments.access import Signals
from experiments.evidence.ground_truth import facts_of_hospital
from experiments.evidence.local_training import local_training
from experiments.evidence.planted import Fault
from experiments.evidence.target_model import Target

ROOM_FOR_SIGNALS = 12_000
"""A network of fewer parameters gets idle ones beside it: enough for canaries to be counted, and places without."""
CLIPPED_AT_ONCE = 64


NO_FAULT = Fault("none")


@dataclass
class Hand:
    """What goes into the next sum, and what came of it."""

    signals: Signals = field(default_factory=lambda: Signals(np.zeros(0, np.int64), np.zeros(0, np.float32)))
    own: Vector = field(default_factory=lambda: np.zeros(0, np.float32))
    released: Vector = field(default_factory=lambda: np.zeros(0, np.float32))


@dataclass(frozen=True)
class HandedTrainer(PrivateTrainer):
    """The hospital's trainer; all that is changed is that its code samples, clips and adds the auditor's units too.

    idle: so many coordinates stand behind the network's in every sum. No case has a gradient there; they are clipped
    and noised with the others by the same code, and training never sees them. alone: whether the auditor's units are
    all that there is to train on.
    """

    hand: Hand = field(default_factory=Hand)
    idle: int = 0
    alone: bool = False

    def clipped_sum(self) -> Vector:
        """(P,) of the sampled units, the auditor's among them."""
        length = learned_values(self.network)
        self.hand.own = own = np.zeros(length + self.idle, np.float32)
        if not self.alone:
            own[:length] = super().clipped_sum()
        units = cast(Cases, _Units(np.arange(len(self.hand.signals))))
        drawn = self.hand.signals.take(replace(self, cases=units).sample())
        return own + clipped_signals(drawn, len(own), self.clip_norm)

    def follow(self) -> None:
        """As in training, but where there is no network to speak of."""
        if not self.alone:
            super().follow()

    def noisy_sum(self) -> Vector:
        """The network's part of what is released."""
        self.hand.released = super().noisy_sum()
        return self.hand.released[: len(self.hand.released) - self.idle]


@dataclass(frozen=True)
class _Units:
    """All that sampling looks at: one case a person. patients: (n,)."""

    patients: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.patients)


def learned_values(network: nn.Module) -> int:
    """How many numbers a gradient has: a companion is exchanged, and no gradient has a part in it."""
    return sum(parameter.numel() for _, parameter in trainable(network))


def clipped_signals(signals: Signals, length: int, clip_norm: float) -> Vector:
    """(length,) float32: their sum, each clipped by the hospitals' own code.

    Several are clipped at once, as a hospital's cases are; places where all of these are zero are left out.
    """
    total = np.zeros(length, np.float32)
    for begin in range(0, len(signals), CLIPPED_AT_ONCE):
        chosen = slice(begin, begin + CLIPPED_AT_ONCE)
        some = signals.take(chosen)
        total[some.coordinates] += clip_and_add([Whole(torch.from_numpy(np.diag(some.values)))], clip_norm)
    return total


@dataclass(frozen=True)
class TrainerSteps:
    """The trainer as `experiments.access.PrivateSteps`: one step of its training at a time.

    An adaptive optimiser begins anew with every step; that moves the model differently, and releases as much.
    """

    trainer: HandedTrainer
    clip_norm: float
    """As claimed."""
    sampling_rate: float
    """As claimed."""

    @property
    def length(self) -> int:
        """P."""
        return learned_values(self.trainer.network) + self.trainer.idle

    def step(self, signals: Signals) -> tuple[Vector, Vector]:
        """The released sum, and the hospital's own part of it before noise."""
        self.trainer.hand.signals = signals
        self.trainer.train()
        return self.trainer.hand.released, self.trainer.hand.own

    def losses(self, cases: Cases) -> NDArray[np.float64]:
        """Of the model as it is by now."""
        return Target(self.trainer.task, deepcopy(self.trainer.network)).losses(read(self.trainer.network), cases)


@dataclass(frozen=True)
class Repeatable:
    """A hospital's private training as `experiments.access.PrivateTraining`, by its own trainer or one like it.

    fault: planted in its code; repeat: for the so-manyth time, with draws of its own. most_steps: of those that are
    done again.
    """

    hospital: Hospital
    mechanism: Mechanism
    trainer: type[HandedTrainer] = HandedTrainer
    fault: Fault = NO_FAULT
    repeat: int = 0
    most_steps: int | None = None

    @property
    def steps(self) -> int:
        """Noisy sums in the whole study, or as many as are done again."""
        facts = facts_of_hospital(self.hospital)
        steps = abilities(self.mechanism).poisson(facts).steps * facts.rounds
        return steps if self.most_steps is None else min(steps, self.most_steps)

    @property
    def delta(self) -> float:
        """Of the promise."""
        return self.mechanism.delta

    @property
    def cases(self) -> Cases:
        """Of training."""
        return self.hospital.train

    def promised(self, steps: int) -> Release:
        """What is claimed of so many noisy sums."""
        (release,) = self.mechanism.round_releases(facts_of_hospital(self.hospital))
        return replace(release, steps=steps)

    def begun(self, more: Cases | None = None) -> TrainerSteps:
        """From the study's first model."""
        cases = self.hospital.train if more is None else concatenate([self.hospital.train, more])
        return self._steps(self._trainer(cases))

    def alone(self) -> TrainerSteps:
        """On the auditor's units, with next to no network beside the places for signals: as quick for all."""
        network = nn.Linear(1, 1)
        idle = ROOM_FOR_SIGNALS - learned_values(network)
        return self._steps(replace(self._trainer(self.hospital.train), network=network, idle=idle, alone=True))

    def _steps(self, trainer: HandedTrainer) -> TrainerSteps:
        return TrainerSteps(trainer, abilities(self.mechanism).clip_norm, trainer.sampling_rate)

    def _trainer(self, cases: Cases) -> HandedTrainer:
        """Rates and noise stay those of the hospital's own cases, whatever the cases are."""
        hospital, facts = self.hospital, facts_of_hospital(self.hospital)
        study = hospital.study
        asked = mechanism_of(self.fault.study(hospital)) or self.mechanism
        noise = self.fault.noise(self._honest, 1)
        return self.trainer(
            hospital.task,
            deepcopy(hospital.network),
            cases,
            replace(local_training(study), steps=1),
            clip_norm=abilities(asked).clip_norm,
            noised=lambda total: abilities(asked).noised(total, facts, noise),
            unit=asked.unit,
            sampling_rate=abilities(self.mechanism).poisson(facts).rate,
            rng=self.fault.draws(self._drawn("audit sampling")),
            public_size=expected_patients(study.federation, hospital.site),
            idle=max(0, ROOM_FOR_SIGNALS - learned_values(hospital.network)),
        )

    def _honest(self, number: int) -> NoiseSource:
        return SeededNoise(self._drawn("audit noise", number - 1))

    def _drawn(self, *words: object) -> np.random.Generator:
        repeats = (self.repeat,) if self.repeat else ()
        return generator(self.hospital.study.seed, self.hospital.site, *words, *repeats)


def audited_mechanism(study: Study) -> Mechanism | None:
    """The study's mechanism where every step of a single hospital has noise enough for itself, else None."""
    mechanism = mechanism_of(study)
    return None if no_noisy_steps(mechanism) else mechanism
