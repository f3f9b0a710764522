"""A teacher: a copy of a network that no gradient moves, and that follows the student as a moving average."""

from __future__ import annotations

from collections import OrderedDict
from copy import deepcopy
from typing import Self

import torch
from torch import Tensor, nn


def teacher_of(**parts: nn.Module) -> nn.Sequential:
    """A copy of parts that stand behind each other, by the names that they have in the student."""
    return nn.Sequential(OrderedDict((name, deepcopy(part)) for name, part in parts.items()))


def move_teacher(network: nn.Module, momentum: float) -> None:
    """`network.teacher` becomes momentum * teacher + (1 - momentum) * student (Grill et al. 2020, equation 1).

    In place. Every part of the teacher follows the network's own part of that name.
    """
    for name, part in network.get_submodule("teacher").named_children():
        for slow, fast in zip(part.parameters(), network.get_submodule(name).parameters(), strict=True):
            slow.lerp_(fast, 1 - momentum)


LEAST_VARIANCE = 1e-10
"""Of a feature, so that one that is the same of all cases stays so."""


class Centre(nn.Module):
    """A moving average of what a teacher answers, to be taken from its answers (Caron et al. 2021, equation 4).

    Answers of a step are summed up as they come, in however many pieces the batch does; the centre moves after the
    step, so that the loss of a case does not depend on who else is in its batch. The sums are no part of the model.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.total: Tensor
        self.count: Tensor
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("total", torch.zeros(width), persistent=False)
        self.register_buffer("count", torch.zeros(()), persistent=False)

    def forward(self, answers: Tensor) -> Tensor:
        """(N, width) answers, without the centre. While the network trains, they are kept in mind."""
        if self.training:
            with torch.no_grad():
                self.total += answers.sum(0)
                self.count += len(answers)
        return answers - self.mean

    def train(self, mode: bool = True) -> Self:
        """Training begins, and nothing is left of a step that came to no end."""
        self._forget()
        return super().train(mode)

    def move(self, momentum: float) -> None:
        """After a step, by the mean of what was answered in it."""
        if self.count:
            self.mean.lerp_(self.total / self.count, 1 - momentum)
        self._forget()

    def _forget(self) -> None:
        self.total.zero_()
        self.count.zero_()


class Moments(Centre):
    """Features less their moving mean and over their moving spread: what batch normalisation is to BYOL, of no
    other case in the batch (Richemond et al. 2020 on what it is to BYOL).

    Features of a network without batch normalisation have most in common, and what tells cases apart is then too
    small to be learned from. Means and mean squares of hospitals add up to those of all, within and between them.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.square: Tensor
        self.weight: Tensor
        self.squares: Tensor
        self.register_buffer("square", torch.zeros(width))
        self.register_buffer("weight", torch.zeros(1))
        self.register_buffer("squares", torch.zeros(width), persistent=False)

    def forward(self, answers: Tensor) -> Tensor:
        """(N, width), as they came before the first step."""
        if self.training:
            with torch.no_grad():
                self.total += answers.sum(0)
                self.squares += answers.square().sum(0)
                self.count += len(answers)
        if not self.weight:
            return answers
        mean, square = self.mean / self.weight, self.square / self.weight
        return (answers - mean) * (square - mean.square()).clamp(min=LEAST_VARIANCE).rsqrt()

    def move(self, momentum: float) -> None:
        """After a step."""
        if self.count:
            self.square.lerp_(self.squares / self.count, 1 - momentum)
            self.weight.lerp_(torch.ones_like(self.weight), 1 - momentum)
        super().move(momentum)

    def _forget(self) -> None:
        super()._forget()
        self.squares.zero_()
