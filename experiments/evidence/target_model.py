"""The study's network with any parameters an observer holds, and what it makes of cases it is shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from client.training import chunk_size
from common.data.cases import Batch, Cases
from common.learning.abilities import views
from common.learning.device import home, placed
from common.learning.losses import as_held
from common.learning.parameters import trainable, write
from common.learning.task import Task
from common.sums.update import Vector
from experiments.observation import Observation

Floats = NDArray[np.float64]
LOOKS = 4
"""How often a case is looked at where its loss is of what augmentation draws: chance of single draws averages out
(Choquette-Choo et al. 2021, Label-only membership inference, ask about several augmentations likewise)."""


@dataclass(frozen=True)
class Target:
    """network: its parameters are overwritten with every question."""

    task: Task
    network: nn.Module

    @classmethod
    def of(cls, observed: Observation) -> Target:
        """From public settings alone."""
        return cls(observed.study.build_task(), placed(observed.network()))

    def losses(self, parameters: Vector, cases: Cases) -> Floats:
        """(N,) the task's loss of every case, the network not in training; of a task with views, of several looks.

        The looks follow from the case alone: all models, shadows among them, are asked about the same ones.
        """
        looks = range(LOOKS if views(self.task) else 1)
        return np.asarray(np.mean([self._losses(parameters, cases, number) for number in looks], axis=0))

    def _losses(self, parameters: Vector, cases: Cases, number: int) -> Floats:
        write(self.network, parameters)
        self.network.eval()
        found = []
        with (
            torch.no_grad()
        ):  # and not inference_mode: a loss may need a gradient within, where training moves inputs
            for start in range(0, len(cases), chunk_size(cases)):
                batch = self._shown(cases, slice(start, start + chunk_size(cases)), number)
                found.append(self.task.loss(self.network, batch).cpu().double().numpy())
        return np.asarray(np.nan_to_num(np.concatenate(found), nan=1e6, posinf=1e6, neginf=-1e6))

    def cosines(self, parameters: Vector, cases: Cases, direction: Floats) -> Floats:
        """(N,) the cosine of every case's gradient with a direction in parameters; 0 where either is 0.

        direction: (P,), or longer by a companion, which no gradient has a part in.
        """
        write(self.network, parameters)
        self.network.eval()
        weights = [parameter for _, parameter in trainable(self.network)]
        length = sum(weight.numel() for weight in weights)
        wanted = torch.from_numpy(direction[:length].astype(np.float32)).to(home(self.network))
        wanted = wanted / wanted.norm().clamp(min=1e-30)
        return np.array([self._cosine(weights, cases, index, wanted) for index in range(len(cases))])

    def _shown(self, cases: Cases, chosen: slice, number: int = 0) -> Batch:
        return as_held(self.task, cases.batch(chosen), number).to(home(self.network))

    def _cosine(self, weights: list[nn.Parameter], cases: Cases, index: int, wanted: torch.Tensor) -> float:
        batch = self._shown(cases, slice(index, index + 1))
        loss = self.task.loss(self.network, batch).sum()
        parts = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
        gradient = torch.cat([part.reshape(-1) for part in parts])
        return float(torch.nan_to_num(gradient @ wanted / gradient.norm().clamp(min=1e-30)))


def standardised(scores: Floats) -> Floats:
    """Mean 0 and deviation 1 over the candidates, so that rounds count alike."""
    return np.asarray((scores - scores.mean()) / max(float(scores.std()), 1e-12))
