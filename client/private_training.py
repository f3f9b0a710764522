"""Differentially private training in one hospital (DP-SGD, Abadi et al. 2016, algorithm 1), for patients or cases.

What leaves has noise for the unit's gradient in every step, and everything beside it is public: the weight is a
number expected or counted beforehand, never that of a step, and no loss is told.

*Companion.* A teacher follows the model after each step, as in ordinary training, and leaves with it. No noise is
added to it, and none is needed: here the model moves by noisy sums alone, and `follow` reads what was learned alone,
so that the teacher is worked out from what was released (post-processing). What `loss` makes of a companion while it
looks at cases, a centre of their features, would be no such thing: it is undone before the next step.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from client.clipped_sums import clipped_sum
from client.clipping import CaseLoss
from client.objective import class_weights
from client.optimisers import new_optimiser
from client.training import Terms
from common.data.cases import Batch, Cases
from common.learning.class_weights import with_weights
from common.learning.client_work import Training
from common.learning.losses import augmented, follow
from common.learning.parameters import read, refuse_unsuitable, trainable
from common.learning.task import Task
from common.privacy.mechanism import Noised
from common.privacy.release import Unit
from common.privacy.sampling import steps_a_round
from common.sums.update import Update, Vector


@dataclass(frozen=True)
class LocalTerms:
    """What a round adds to every local step beside the noisy sum; neither looks at a case.

    proximal_mu, correction: as in Trainer.local_update.
    """

    proximal_mu: float = 0.0
    correction: Vector | None = None


@dataclass(frozen=True)
class PrivateTrainer:
    """One hospital's private training in one round; the network is changed in place.

    clip_norm: in L2 the most that one unit adds to a step's sum. noised: makes of such a sum what may leave. unit:
    "patient" or "sample". sampling_rate: chance of each unit to be in a step. rng: of samples and augmentation;
    whoever knew its draws would know who took part, so in deployment it must be secret. public_size: what stands for
    the numbers of units and cases in weights and means; None: they are counted, and taken as public. counted:
    patients and cases as they were counted before somebody withdrew, which is not told. terms: of local steps.
    """

    task: Task
    network: nn.Module
    cases: Cases
    training: Training
    clip_norm: float
    noised: Noised
    unit: Unit
    sampling_rate: float
    rng: np.random.Generator
    public_size: int | None = None
    counted: tuple[int, int] | None = None
    terms: LocalTerms = field(default_factory=LocalTerms)

    @property
    def expected_units(self) -> float:
        """How many units a step takes on average, as far as is public."""
        if self.public_size is not None:
            return self.sampling_rate * self.public_size
        patients, cases = self.counted or (len(np.unique(self.cases.patients)), len(self.cases))
        return self.sampling_rate * (cases if self.unit == "sample" else patients)

    def gradient_update(self) -> Update:
        """FedSGD's hospital half: one noisy sum of clipped gradients.

        vectors: one (P,) float32; weight: the expected number of units; no statistics.
        """
        return Update((self.noisy_sum(),), self.expected_units)

    def local_update(self) -> tuple[Update, int]:
        """FedAvg's hospital half: the update after noisy local steps, and the number of steps.

        vectors: one (P,) float32, n_k times the change; weight: n_k, all cases or the public size; no statistics.
        """
        start = read(self.network)
        steps = self.train()
        counted = len(self.cases) if self.counted is None else self.counted[1]
        size = counted if self.public_size is None else self.public_size
        change = (read(self.network).astype(np.float64) - start) * size
        return Update((change.astype(np.float32),), float(size)), steps

    def train(self) -> int:
        """Noisy local steps; `terms` are added after the noise. Returns their number."""
        parameters = [parameter for _, parameter in trainable(self.network)]
        terms = Terms.of(parameters, self.terms.proximal_mu, self.terms.correction)
        optimiser = new_optimiser(parameters, self.training)
        steps = steps_a_round(self.training, "delta", self.sampling_rate)
        for _ in range(steps):
            set_gradients(parameters, self.noisy_sum())
            terms.add(parameters, self.expected_units)
            optimiser.step()
            optimiser.zero_grad()
            self.follow()
        return steps

    def follow(self) -> None:
        """Move the companion after a step, by what is learned alone."""
        follow(self.task, self.network)

    def noisy_sum(self) -> Vector:
        """(P,) float32: `clipped_sum`, and the noise on it."""
        return self.noised(self.clipped_sum())

    def clipped_sum(self) -> Vector:
        """(P,) float32 without noise: of one Poisson sample of the units, zeros where it is empty.

        Every unit is augmented alone: no other has a part in its gradient.
        """
        with _unmoved(self.network):
            return clipped_sum(self._loss(), self._units(), self.clip_norm)

    def unit_gradients(self) -> Iterator[Vector]:
        """(P,) float32 each, unclipped: of one Poisson sample of the units, one at a time."""
        loss = self._loss()
        for unit in self._units():
            with _unmoved(self.network):
                gradient = clipped_sum(loss, [unit], float("inf"))
            yield gradient

    def _loss(self) -> CaseLoss:
        self.network.train()
        return CaseLoss(self.task, self.network, self.training.precision)

    def _units(self) -> list[Batch]:
        weights = class_weights(self.cases, self.training)
        shown = (augmented(self.task, self.cases.batch(np.array([index])), self.rng) for index in self.sample())
        return [with_weights(unit, weights) for unit in shown]

    def sample(self) -> NDArray[np.int64]:
        """Indices of the cases of one step: every unit with chance `sampling_rate`; of a patient, one random case."""
        if self.unit == "sample":
            return np.flatnonzero(self.rng.random(len(self.cases)) < self.sampling_rate)
        order = np.argsort(self.cases.patients, kind="stable")
        _, counts = np.unique(self.cases.patients, return_counts=True)
        drawn = self.rng.random(len(counts)) < self.sampling_rate
        chosen = np.cumsum(counts) - counts + self.rng.integers(0, counts)
        return np.asarray(order[chosen[drawn]], np.int64)


@contextmanager
def _unmoved(network: nn.Module) -> Iterator[None]:
    """Whatever of the network is not learned is afterwards what it was: a case moves it through noisy sums alone.

    Not the companion alone: sums that are kept in mind for it, until `follow`, are of cases as well.
    """
    others = [parameter for parameter in network.parameters() if not parameter.requires_grad]
    before = [(tensor, tensor.clone()) for tensor in (*others, *network.buffers())]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in before:
                tensor.copy_(value)


def refuse_batch_norm(network: nn.Module) -> None:
    """Raise StudyError, naming the layer, where cases of a batch would share statistics: no unit could be clipped."""
    refuse_unsuitable(network)


def set_gradients(parameters: list[nn.Parameter], vector: Vector) -> None:
    """Every parameter's gradient from a (P,) float32 vector, in order; in memory as the parameter lies."""
    parts = torch.split(torch.from_numpy(vector), [parameter.numel() for parameter in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.grad = torch.empty_like(parameter).copy_(part.reshape(parameter.shape))
