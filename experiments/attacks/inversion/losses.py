"""A task's loss for truth that is only believed: a probability of every class instead of one class."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from common.data.cases import Shape
from common.errors import StudyError
from common.learning.abilities import abilities, can, no_soft_loss
from common.learning.task import Task

Losses = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""(network, inputs, truth) -> (N,) losses. truth: (N, *label_space) probabilities."""


def soft_losses(task: Task, class_weights: tuple[float, ...] | None = None) -> Losses:
    """The task's `soft_loss`; where it has none, what says so when it is asked for.

    class_weights: those of the study, of every class; None: all count alike.
    """
    reason = no_soft_loss(task)
    if not reason and class_weights is None:
        return abilities(task).soft_loss
    if not reason:
        return partial(abilities(task).soft_loss, class_weights=torch.tensor(class_weights))

    def refuse(network: nn.Module, inputs: Tensor, truth: Tensor) -> Tensor:
        raise StudyError(reason)

    return refuse


def truth_shape(task: Task, shape: Shape, cases: int) -> tuple[int, ...]:
    """The shape of the probabilities of so many cases; (cases, 0) where a task has none."""
    return (cases, *(abilities(task).label_space(shape) if can(task, "label_space") else (0,)))
