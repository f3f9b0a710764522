"""A teacher: a copy of a network that no gradient moves, and that follows the student as a moving average."""

from __future__ import annotations

from collections import OrderedDict
from copy import deepcopy

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

    def move(self, momentum: float) -> None:
        """After a step, by the mean of what was answered in it."""
        if self.count:
            self.mean.lerp_(self.total / self.count, 1 - momentum)
        self.total.zero_()
        self.count.zero_()
