"""The network as a hospital has it, differentiable twice: gradients and updates of inputs that are only guessed."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from common.learning.abilities import task_in_round
from common.learning.client_work import Training
from common.learning.device import home, placed
from common.learning.parameters import trainable, write
from experiments.attacks.inversion.local_steps import Moving, steps_of
from experiments.attacks.inversion.losses import Losses, soft_losses
from experiments.attacks.inversion.updates import Captured
from experiments.observation import Observation

Parts = tuple[Tensor, ...]
"""One tensor a parameter, in the order of the parameters' names."""


class _WithLoss(nn.Module):
    """A network and its loss in one call, so that both can be called with other parameters."""

    def __init__(self, network: nn.Module, losses: Losses) -> None:
        super().__init__()
        self.network = network
        self.losses = losses

    def forward(self, inputs: Tensor, truth: Tensor) -> Tensor:
        """The mean loss."""
        return self.losses(self.network, inputs, truth).mean()


@dataclass(frozen=True)
class Victim:
    """network: with the parameters of the round, in training mode. losses: of its task."""

    network: nn.Module
    losses: Losses

    @classmethod
    def of(cls, observed: Observation, captured: Captured) -> Victim:
        """The public study's network with the parameters that were sent out, and the task of that round."""
        study, parameters = observed.study, captured.parameters
        task = task_in_round(study.build_task(), captured.round)
        network = placed(observed.network())
        write(network, parameters)
        return cls(network.train(), soft_losses(task, study.training.public_class_weights))

    @property
    def parameters(self) -> list[nn.Parameter]:
        """In the order of their names."""
        return [parameter for _, parameter in trainable(self.network)]

    @property
    def dtype(self) -> torch.dtype:
        """float32, or float64 after `double`."""
        return self.parameters[0].dtype

    @property
    def device(self) -> torch.device:
        """Where the network is, and whatever is shown to it."""
        return home(self.network)

    def double(self) -> Victim:
        """The same in float64."""
        return Victim(deepcopy(self.network).double(), self.losses)

    def on(self, device: torch.device) -> Victim:
        """The same on a device."""
        return self if self.device == device else Victim(deepcopy(self.network).to(device), self.losses)

    def parts(self, vector: NDArray[np.floating]) -> Parts:
        """A flat vector cut into tensors of the parameters' shapes and dtype, without the companion behind them."""
        shapes = [parameter.shape for parameter in self.parameters]
        learned = np.asarray(vector[: sum(shape.numel() for shape in shapes)], dtype=np.float64)
        flat = torch.from_numpy(learned).to(self.dtype).to(self.device)
        cut = torch.split(flat, [shape.numel() for shape in shapes])
        return tuple(part.reshape(shape) for part, shape in zip(cut, shapes, strict=True))

    def gradient(self, inputs: Tensor, truth: Tensor) -> Parts:
        """The gradient of the mean loss, itself differentiable by `inputs` and `truth`."""
        loss = self.losses(self.network, inputs, truth).mean()
        return _filled(
            torch.autograd.grad(loss, self.parameters, create_graph=True, allow_unused=True), self.parameters
        )

    def change(
        self,
        inputs: Tensor,
        truth: Tensor,
        batches: Sequence[NDArray[np.int64]],
        training: Training,
        proximal_mu: float = 0.0,
        softness: float = 0.0,
    ) -> Parts:
        """What local steps on `batches` of the inputs change, differentiable. softness: as `steps_of` takes it."""
        start = [parameter.detach() for parameter in self.parameters]
        now = [Moving(parameter.clone().requires_grad_(True)) for parameter in start]
        step = steps_of(training, softness)
        for indices in batches:
            chosen = torch.from_numpy(indices)
            gradient = self._gradient_at([moving.value for moving in now], inputs[chosen], truth[chosen])
            now = [
                moving if part is None else step(moving, part + proximal_mu * (moving.value - first))
                for moving, part, first in zip(now, gradient, start, strict=True)
            ]
        return tuple(moving.value - first for moving, first in zip(now, start, strict=True))

    def _gradient_at(self, values: Sequence[Tensor], inputs: Tensor, truth: Tensor) -> Sequence[Tensor | None]:
        """As `gradient`, with other values of the parameters; None of those that the loss does not reach."""
        names = [f"network.{name}" for name, _ in trainable(self.network)]
        module = _WithLoss(self.network, self.losses)
        loss = functional_call(module, dict(zip(names, values, strict=True)), (inputs, truth))
        return torch.autograd.grad(loss, values, create_graph=True, allow_unused=True)


def _filled(gradient: Sequence[Tensor | None], parameters: Sequence[Tensor]) -> Parts:
    """Zeros for parameters that the loss does not reach."""
    return tuple(
        torch.zeros_like(parameter) if part is None else part
        for part, parameter in zip(gradient, parameters, strict=True)
    )
