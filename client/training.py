"""Training in one hospital: a full gradient, or local steps, as an Update of sums."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.fully_connected import FullyConnected
from client.objective import batches, calibration, class_weights, one_batch
from client.optimisers import new_optimiser
from client.whole_batches import pieces
from common.allocator import make_room_for
from common.data.cases import Batch, Cases
from common.errors import HospitalError
from common.learning.abilities import couples
from common.learning.class_weights import with_prior, with_weights
from common.learning.client_work import Training
from common.learning.device import autocast, home
from common.learning.losses import augmented, case_losses, follow, groups_of
from common.learning.parameters import personal, read, read_gradient, scaled_change, shared
from common.learning.task import Task
from common.sums.mean import Mean
from common.sums.update import Update, Vector

DIVERGED = (
    "training diverged: the loss is no longer finite, or enormous. Lower training.learning_rate, or see that inputs "
    "are scaled (of tables, source.scaling)."
)
CASES_A_CHUNK = 256
VALUES_A_CHUNK = 1 << 20
"""A full batch is worked off in chunks of at most so many cases and inputs' values: the sum is the same, the memory
bounded, of volumes too; but where the loss compares cases."""


@dataclass(frozen=True)
class Trainer:
    """One hospital's training in one round; the network is changed in place, all draws come from `rng`.

    start: (P,) float32, what is exchanged of the network as it is, where somebody holds it already.
    """

    task: Task
    network: nn.Module
    cases: Cases
    training: Training
    rng: np.random.Generator
    start: Vector | None = None

    def gradient_update(self) -> Update:
        """FedSGD's hospital half: the sum of the cases' gradients at the network's parameters.

        All training cases where `training.batch_size` is "full", else a batch.
        vectors: one (P,) float32; weight: the number of cases in the sum.
        """
        indices = one_batch(self.cases, self.training, self.rng)
        self.network.train()
        self.network.zero_grad()
        losses = self._backward(Step(indices))
        return Update((read_gradient(self.network),), float(len(indices)), {"loss": _mean(losses)})

    def local_update(self, proximal_mu: float = 0.0, correction: Vector | None = None) -> tuple[Update, int]:
        """FedAvg's hospital half: the update after local steps, and the number of steps.

        vectors: one (P,) float32, n_k times the change. proximal_mu: FedProx adds mu/2 ||w - w_t||^2 to the
        loss (Li et al. 2020, equation 2). correction: (P,), added to every gradient (SCAFFOLD's c - c_k).
        """
        start = read(self.network) if self.start is None else self.start
        losses, steps = self.train(proximal_mu, correction)
        self.network.zero_grad()  # a large model's gradients would lie beside its update
        make_room_for(start.size)
        change = scaled_change(self.network, start, len(self.cases))
        return Update((change,), float(len(self.cases)), {"loss": _mean(losses)}), steps

    def train(self, proximal_mu: float = 0.0, correction: Vector | None = None) -> tuple[list[float], int]:
        """Local steps. Returns the loss of every case trained on, in order, and the number of steps.

        Where the task has several optimisers, each has a part in every step, in its turn and by its own loss.
        """
        together = [parameter for _, parameter in shared(self.network)]
        terms = Terms.of(together, proximal_mu, correction)
        parameters = [*together, *(parameter for _, parameter in personal(self.network))]
        groups = [(one, new_optimiser(one.parameters, self.training)) for one in groups_of(self.task, self.network)]
        everything = list(self.network.parameters())
        layers = FullyConnected.of(self.task, self.network, self.training)
        losses: list[float] = []
        steps = 0
        self.network.train()
        for step in self._steps(held=len(groups) == 1):
            for group, optimiser in groups:
                for parameter in everything:
                    parameter.grad = None
                losses += self._backward(step, group.name, layers)
                if len(groups) > 1:
                    group.forget_others(self.network)
                terms.add(parameters, len(step.indices))
                optimiser.step()
            follow(self.task, self.network)
            steps += 1
        return losses, steps

    def _steps(self, held: bool) -> Iterator[Step]:
        """All local steps. held: whether a step's cases may be gathered beforehand, with those of others."""
        for together in batches(self.cases, self.training, self.rng):
            some = self.chunk // len(together[0]) if held and not couples(self.task) else 0
            if some < 1:
                yield from map(Step, together)
                continue
            for start in range(0, len(together), some):
                yield from _gathered(self.cases, together[start : start + some])

    @cached_property
    def class_weights(self) -> Tensor | None:
        """Of classes in the loss."""
        return class_weights(self.cases, self.training)

    @cached_property
    def calibration(self) -> Tensor | None:
        """Of logits in training."""
        return calibration(self.cases, self.training)

    @cached_property
    def chunk(self) -> int:
        """As `chunk_size`."""
        return chunk_size(self.cases)

    @cached_property
    def device(self) -> torch.device:
        """Where the network is; nobody moves it while it is trained."""
        return home(self.network)

    def _backward(self, step: Step, group: str = "", layers: FullyConnected | None = None) -> list[float]:
        """Add the gradients of the cases' summed losses to the network; every case's loss.

        group: whose loss. layers: what the loss asks in place of the network, where there is something faster.
        """
        losses: list[float] = []
        for batch in self._pieces(step):
            loss = self._losses(batch, self.rng, group, layers)
            loss.sum().backward()  # type: ignore[no-untyped-call]
            if layers is not None:
                layers.backward()
            losses += loss.detach().tolist()
        return losses

    def _pieces(self, step: Step) -> Iterator[Batch]:
        if step.batch is not None:
            yield step.batch
            return
        for piece in pieces(self.task, self.cases, step.indices, self.chunk):
            yield self.cases.batch(piece)

    def mean_loss(self) -> float:
        """Of all training cases under the network as it is, shown as training would show them first.

        Nothing is learned, and nothing drawn from `rng`.
        """
        rng, everybody, losses = deepcopy(self.rng), np.arange(len(self.cases)), []
        self.network.eval()
        with torch.no_grad():
            for piece in pieces(self.task, self.cases, everybody, chunk_size(self.cases)):
                losses += self._losses(self.cases.batch(piece), rng).tolist()
        return float(np.mean(losses))

    def _losses(
        self, batch: Batch, rng: np.random.Generator, group: str = "", layers: FullyConnected | None = None
    ) -> Tensor:
        shown = augmented(self.task, batch, rng).to(self.device)
        shown = with_prior(with_weights(shown, self.class_weights), self.calibration)
        with autocast(self.device, self.training.precision):
            return case_losses(self.task, self.network if layers is None else layers, shown, group)


@dataclass(frozen=True)
class Step:
    """indices: of its cases. batch: these cases, where they were gathered beforehand."""

    indices: NDArray[np.int64]
    batch: Batch | None = None


def _gathered(cases: Cases, steps: list[NDArray[np.int64]]) -> Iterator[Step]:
    """Steps with their cases, which are gathered all at once."""
    batch, at = cases.batch(np.concatenate(steps)), 0
    for indices in steps:
        yield Step(indices, batch.between(at, at + len(indices)))
        at += len(indices)


def _mean(losses: list[float]) -> Mean:
    """Raises HospitalError where training diverged."""
    try:
        return Mean.of(losses)
    except (ValueError, OverflowError):
        raise HospitalError(DIVERGED) from None


def chunk_size(cases: Cases) -> int:
    """How many of these cases pass the network together, at least one."""
    return max(1, min(CASES_A_CHUNK, VALUES_A_CHUNK // max(1, cases.most_values)))


@dataclass(frozen=True)
class Terms:
    """What is added to the mean gradient of a step, of the parameters that are learned together."""

    anchors: list[torch.Tensor]
    proximal_mu: float
    corrections: list[torch.Tensor] | None

    @classmethod
    def of(cls, parameters: list[nn.Parameter], proximal_mu: float, correction: Vector | None) -> Terms:
        """proximal_mu and correction: as in Trainer.local_update. The anchors are the parameters as they are."""
        anchors = [parameter.detach().clone() for parameter in parameters] if proximal_mu else []
        if correction is None:
            return cls(anchors, proximal_mu, None)
        parts = torch.split(torch.from_numpy(np.array(correction)), [p.numel() for p in parameters])
        shaped = [part.reshape(p.shape).to(p.device) for part, p in zip(parts, parameters, strict=True)]
        return cls(anchors, proximal_mu, shaped)

    def add(self, parameters: list[nn.Parameter], count: float) -> None:
        """Turn summed gradients of `count` cases into their mean, and add the terms."""
        reached = [(index, one.grad) for index, one in enumerate(parameters) if one.grad is not None]
        torch._foreach_div_([gradient for _, gradient in reached], count)
        if not self.anchors and self.corrections is None:
            return
        for index, gradient in reached:
            if index < len(self.anchors):
                gradient.add_(parameters[index].detach() - self.anchors[index], alpha=self.proximal_mu)
            if self.corrections is not None:
                gradient.add_(self.corrections[index])
