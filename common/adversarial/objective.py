"""What an adversary wants large, and may ask: one number a case, with or without its gradient."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Protocol

import torch
from torch import Tensor

from common.errors import StudyError


class PerCase(Protocol):
    """A loss, a margin, or anything else that inputs are to raise."""

    def __call__(self, inputs: Tensor) -> Tensor:
        """(N,) of N inputs, each of its own case alone."""
        ...


@dataclass(frozen=True)
class Objective:
    """inputs: (N, ...) as they are. raised: what is to be raised, of all of them in their order.

    enough: a case whose number is above it is misled, and needs no further question: 0 for a margin. misled: (N,)
    truth values of inputs, where the number alone does not tell; with two classes the highest loss does.
    """

    inputs: Tensor
    raised: PerCase
    enough: float = inf
    misled: PerCase | None = None

    def values(self, inputs: Tensor) -> Tensor:
        """(N,) without a gradient: all that an attack without the model's insides may ask."""
        with torch.no_grad():
            return self.raised(inputs)

    def gradient(self, inputs: Tensor) -> Tensor:
        """Of every case's number by its own input. Raises StudyError where it does not depend on it."""
        return self.climbed(inputs)[1]

    def climbed(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """(N,) values and their gradient, of one pass. Raises StudyError where they do not depend on the inputs."""
        leaf = inputs.detach().clone().requires_grad_(True)
        with torch.enable_grad():
            values = self.raised(leaf)
            (found,) = torch.autograd.grad(values.sum(), leaf, allow_unused=True) if values.requires_grad else (None,)
        if found is None:
            raise StudyError("what is to be raised does not depend on the inputs, so there is no way up.")
        return values.detach(), torch.nan_to_num(found)
