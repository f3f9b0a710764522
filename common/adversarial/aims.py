"""What of a task an adversary raises: the loss, or how far a wrong answer is above the right one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from common.adversarial.objective import Objective, PerCase
from common.adversarial.perturbation import Perturbation
from common.data.cases import Batch
from common.errors import StudyError
from common.learning.abilities import abilities, can
from common.learning.losses import as_held
from common.learning.task import Task

WHY_NO_MARGIN = "the task answers no logits of classes, so that there is no margin between them"


def answering(task: Task) -> Task:
    """The task whose loss is of inputs as they are: the one within, where training moves them (`adversarial`)."""
    within: Task | None = getattr(task, "around", None)
    return task if within is None else within


def loss_of(task: Task, network: nn.Module, batch: Batch) -> Objective:
    """The task's loss: cross-entropy, Dice, a likelihood. A case's is of views as the batch or the case brings them.

    Where several classes are told apart, it is also known whether an input misleads.
    """
    task = answering(task)
    shown = as_held(task, batch)

    def raised(inputs: Tensor) -> Tensor:
        return task.loss(network, shown.with_columns(inputs=inputs))

    return Objective(batch.inputs, raised, misled=_misled(task, network, batch))


def margin_of(task: Task, network: nn.Module, batch: Batch) -> Objective:
    """The largest logit of a wrong class less that of the true one: above 0 the answer is wrong.

    Where each pixel has a class, the mean over pixels. Raises StudyError where there are no logits of classes.
    """
    if not has_margin(task, batch):
        raise StudyError(f"{WHY_NO_MARGIN}.")

    def raised(inputs: Tensor) -> Tensor:
        return margins(abilities(task).logits(network, inputs), batch.targets)

    return Objective(batch.inputs, raised, enough=0.0 if batch.targets.ndim == 1 else torch.inf)


def objective_of(way: Perturbation, task: Task, network: nn.Module, batch: Batch) -> Objective:
    """What a perturbation does best with: answers alone tell most by the margin, and gradients by the loss."""
    if way.sees == "answers" and has_margin(task, batch):
        return margin_of(task, network, batch)
    return loss_of(task, network, batch)


def has_margin(task: Task, batch: Batch) -> bool:
    """Whether the truth is classes, and logits of them are answered."""
    targets = batch.columns["targets"]
    return can(task, "logits") and isinstance(targets, Tensor) and targets.dtype == torch.int64


def margins(logits: Tensor, targets: Tensor) -> Tensor:
    """(N,) of (N, classes, ...) logits and (N, ...) true classes."""
    true = targets[:, None]
    others = logits.scatter(1, true, -torch.inf).amax(1)
    return (others - logits.gather(1, true)[:, 0]).reshape(len(logits), -1).mean(1)


def _misled(task: Task, network: nn.Module, batch: Batch) -> PerCase | None:
    """Of two classes the higher loss is the more misled, and no question is spent on it."""
    if not has_margin(task, batch) or batch.targets.ndim != 1:
        return None

    def misled(inputs: Tensor) -> Tensor:
        return margins(abilities(task).logits(network, inputs), batch.targets) > 0

    return misled
