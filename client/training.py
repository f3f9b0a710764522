"""Training in one hospital: a full gradient, or local steps, as an Update of sums."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from client.whole_batches import pieces
from common.data.cases import Cases
from common.errors import HospitalError
from common.learning.losses import augmented, case_losses, follow, groups_of
from common.learning.parameters import read, read_gradient, trainable
from common.learning.task import Task
from common.learning.work import Training
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
    """One hospital's training in one round; the network is changed in place, all draws come from `rng`."""

    task: Task
    network: nn.Module
    cases: Cases
    training: Training
    rng: np.random.Generator

    def gradient_update(self) -> Update:
        """FedSGD's hospital half: the sum of the cases' gradients at the network's parameters.

        All training cases where `training.batch_size` is "full", else a batch drawn without replacement.
        vectors: one (P,) float32; weight: the number of cases in the sum.
        """
        indices = np.arange(len(self.cases))
        if self.training.batch_size != "full":
            indices = np.sort(self.rng.permutation(len(self.cases))[: self.training.batch_size])
        self.network.train()
        self.network.zero_grad()
        losses = self._backward(indices)
        return Update((read_gradient(self.network),), float(len(indices)), {"loss": _mean(losses)})

    def local_update(self, proximal_mu: float = 0.0, correction: Vector | None = None) -> tuple[Update, int]:
        """FedAvg's hospital half: the update after local steps, and the number of steps.

        vectors: one (P,) float32, n_k times the change. proximal_mu: FedProx adds mu/2 ||w - w_t||^2 to the
        loss (Li et al. 2020, equation 2). correction: (P,), added to every gradient (SCAFFOLD's c - c_k).
        """
        start = read(self.network)
        losses, steps = self.train(proximal_mu, correction)
        change = (read(self.network).astype(np.float64) - start) * len(self.cases)
        statistics = {"loss": _mean(losses)}
        return Update((change.astype(np.float32),), float(len(self.cases)), statistics), steps

    def train(self, proximal_mu: float = 0.0, correction: Vector | None = None) -> tuple[list[float], int]:
        """Local steps. Returns the loss of every case trained on, in order, and the number of steps.

        Where the task has several optimisers, each has a part in every step, in its turn and by its own loss.
        """
        parameters = [parameter for _, parameter in trainable(self.network)]
        terms = Terms.of(parameters, proximal_mu, correction)
        groups = [(one, new_optimiser(one.parameters, self.training)) for one in groups_of(self.task, self.network)]
        losses: list[float] = []
        steps = 0
        self.network.train()
        for indices in batches(len(self.cases), self.training, self.rng):
            for group, optimiser in groups:
                self.network.zero_grad()
                losses += self._backward(indices, group.name)
                group.forget_others(self.network)
                terms.add(parameters, len(indices))
                optimiser.step()
            follow(self.task, self.network)
            steps += 1
        return losses, steps

    def _backward(self, indices: NDArray[np.int64], group: str = "") -> list[float]:
        """Add the gradients of the cases' summed losses to the network; every case's loss. group: whose loss."""
        losses: list[float] = []
        for piece in pieces(self.task, self.cases, indices, chunk_size(self.cases)):
            batch = augmented(self.task, self.cases.batch(piece), self.rng)
            with torch.autocast("cpu", torch.bfloat16, enabled=self.training.precision == "bfloat16"):
                loss = case_losses(self.task, self.network, batch, group)
            loss.sum().backward()  # type: ignore[no-untyped-call]
            losses += loss.detach().tolist()
        return losses


def _mean(losses: list[float]) -> Mean:
    """Raises HospitalError where training diverged."""
    try:
        return Mean.of(losses)
    except (ValueError, OverflowError):
        raise HospitalError(DIVERGED) from None


def chunk_size(cases: Cases) -> int:
    """How many of these cases pass the network together, at least one."""
    return max(1, min(CASES_A_CHUNK, VALUES_A_CHUNK // max(1, cases.most_values)))


def batches(count: int, training: Training, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Indices of every step: epochs of shuffled batches (the last may be short), or as many as `steps` says."""
    size = count if training.batch_size == "full" else min(training.batch_size, count)
    per_epoch = -(-count // size)
    wanted = training.epochs * per_epoch if training.steps is None else training.steps
    done = 0
    while done < wanted:
        order = np.arange(count) if size == count else rng.permutation(count)
        for start in range(0, count, size):
            if done == wanted:
                return
            yield order[start : start + size]
            done += 1


@dataclass(frozen=True)
class Terms:
    """What is added to the mean gradient of a step."""

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
        shaped = [part.reshape(p.shape) for part, p in zip(parts, parameters, strict=True)]
        return cls(anchors, proximal_mu, shaped)

    def add(self, parameters: list[nn.Parameter], count: float) -> None:
        """Turn summed gradients of `count` cases into their mean, and add the terms."""
        for index, parameter in enumerate(parameters):
            if parameter.grad is None:
                continue
            parameter.grad.div_(count)
            if self.proximal_mu:
                parameter.grad.add_(parameter.detach() - self.anchors[index], alpha=self.proximal_mu)
            if self.corrections is not None:
                parameter.grad.add_(self.corrections[index])


def new_optimiser(parameters: list[nn.Parameter], training: Training) -> torch.optim.Optimizer:
    """The optimiser that the study names, with its settings."""
    rate, decay = training.learning_rate, training.weight_decay
    if training.optimiser == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=training.momentum, weight_decay=decay)
    if training.optimiser == "adam":
        return torch.optim.Adam(parameters, lr=rate, weight_decay=decay)
    return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
