"""What one case adds to the gradient of a network's first linear layer: a vector of units times the case itself."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from experiments.attacks.inversion.differentiable_client import Victim
from experiments.attacks.inversion.losses import Losses

AT_ONCE = 1 << 22
"""Values that are handed through the rest of the network at once."""

Reals = NDArray[np.float64]


class _Given(nn.Module):
    """Stands where the first layer stood, and answers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = torch.zeros(0)

    def forward(self, inputs: Tensor) -> Tensor:
        """Whatever the inputs are."""
        return self.answer


@dataclass(frozen=True)
class Stage:
    """The model at one local step. weight: (units, features), bias: (units,) of its first layer, zeros without.

    share: of the step's gradient in the sum. late: whether it is not the first, at the model that was sent.
    rest: the network with `given` in place of that layer, in float64.
    """

    share: float
    weight: Reals
    bias: Reals
    rest: nn.Module
    given: _Given
    losses: Losses
    shape: tuple[int, ...]
    late: bool = False

    @classmethod
    def of(cls, victim: Victim, layer: str, shape: Sequence[int], share: float = 1.0, late: bool = False) -> Stage:
        """layer: name of the first one. shape: of one case. victim: its parameters are those of the step."""
        rest = deepcopy(victim.network).double().cpu()
        first = rest.get_submodule(layer)
        assert isinstance(first, nn.Linear)
        given = _Given()
        rest.set_submodule(layer, given)
        weight = first.weight.detach().numpy().copy()
        bias = np.zeros(len(weight)) if first.bias is None else first.bias.detach().numpy().copy()
        return cls(share, weight, bias, rest.requires_grad_(False), given, victim.losses, tuple(shape), late)

    def deltas(self, answers: Reals, labels: int) -> Reals:
        """(N, labels, units) the gradient of each case's loss by the layer's answers (N, units), for every label."""
        if not len(answers):
            return np.zeros((0, labels, answers.shape[1]))
        most = max(1, AT_ONCE // (labels * int(np.prod(self.shape))))
        return np.concatenate([self._deltas(answers[i : i + most], labels) for i in range(0, len(answers), most)])

    def _deltas(self, answers: Reals, labels: int) -> Reals:
        repeated = torch.from_numpy(np.repeat(answers, labels, 0)).requires_grad_(True)
        self.given.answer = repeated
        truth = torch.eye(labels, dtype=torch.float64).repeat(len(answers), 1)
        nothing = torch.zeros((1, *self.shape), dtype=torch.float64).expand(len(repeated), *self.shape)
        with torch.enable_grad():
            (found,) = torch.autograd.grad(self.losses(self.rest, nothing, truth).sum(), repeated)
        return found.numpy().reshape(len(answers), labels, -1)


def deltas_of(stages: Sequence[Stage], inputs: Reals, labels: int) -> Reals:
    """(N, labels, units) what cases (N, features) of every label add to the units, over all steps."""
    return np.asarray(
        sum(stage.share * stage.deltas(inputs @ stage.weight.T + stage.bias, labels) for stage in stages)
    )
