"""What a task is trained on and what it makes of it, checked to be what its role and its declared members say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from common.data.cases import Batch, join
from common.errors import StudyError
from common.learning.abilities import REST, abilities, can, optimised, views
from common.learning.parameters import is_under, trainable
from common.learning.task import Task
from common.selfsupervision.held import generators_of


def augmented(task: Task, batch: Batch, rng: np.random.Generator) -> Batch:
    """The batch as it is trained on, with all the views that the task declares.

    Raises StudyError where a view is missing, or has not one row a case.
    """
    shown = task.augment(batch, rng)
    for name in views(task):
        if name not in shown.columns:
            made = ", ".join(sorted(set(shown.columns) - set(batch.columns))) or "none"
            raise StudyError(f"the task declares the view {name!r}, which its augment did not make; it made {made}.")
        if len(shown.columns[name]) != len(batch):
            raise StudyError(
                f"the view {name!r} must have a row for each of {len(batch)} cases; "
                f"it has {len(shown.columns[name])}."
            )
    return shown


def as_held(task: Task, batch: Batch, number: int = 0) -> Batch:
    """The batch with views of cases that follow from each case alone, whoever else is there; as it is without views.

    number: of several such views. They are drawn as in training, by `augment`, of one case after the other.
    """
    if all(name in batch.columns for name in views(task)):
        return batch
    draws = generators_of(batch.inputs, f"views of a case as held, {number}")
    return join([augmented(task, batch.take([index]), rng) for index, rng in enumerate(draws)])


def case_losses(task: Task, network: nn.Module, batch: Batch, group: str = "") -> Tensor:
    """(N,) float32: the task's loss of every case, or that of one group of parameters.

    Raises StudyError where the task answers anything else.
    """
    losses = abilities(task).loss_of(network, batch, group) if group else task.loss(network, batch)
    if tuple(losses.shape) != (len(batch),):
        raise StudyError(
            f"the task must answer one loss a case, ({len(batch)},) here; "
            f"its losses have shape {tuple(losses.shape)}."
        )
    return losses.float()


@dataclass(frozen=True)
class Group:
    """Parameters that one optimiser moves. name: in the task's `optimised`; "" where it moves all."""

    name: str
    parameters: list[nn.Parameter]

    def forget_others(self, network: nn.Module) -> None:
        """Drop the gradients of all other parameters: their optimiser has its own loss."""
        own = {id(parameter) for parameter in self.parameters}
        for _, parameter in trainable(network):
            if id(parameter) not in own:
                parameter.grad = None


def groups_of(task: Task, network: nn.Module) -> list[Group]:
    """The groups in the order in which they take their steps.

    Raises StudyError where a parameter is in no group or in several, or a group has none.
    """
    named = optimised(task)
    if not named:
        return [Group("", [parameter for _, parameter in trainable(network)])]
    members = {name: _members(named, name) for name, _ in trainable(network)}
    for name, found in members.items():
        if len(found) != 1:
            where = "no group" if not found else "groups " + " and ".join(found)
            raise StudyError(f"parameter {name} is in {where} of the task's `optimised`; it must be in one.")
    groups = [Group(one, [p for name, p in trainable(network) if members[name] == [one]]) for one in named]
    for group in groups:
        if not group.parameters:
            raise StudyError(f"group {group.name!r} of the task's `optimised` has no parameter of the network.")
    return groups


def _members(named: Mapping[str, tuple[str, ...]], parameter: str) -> list[str]:
    found = [group for group, beginnings in named.items() if any(is_under(parameter, one) for one in beginnings)]
    return found or [group for group, beginnings in named.items() if beginnings == (REST,)]


def follow(task: Task, network: nn.Module) -> None:
    """Move the network's companion after a step, where the task says how."""
    if can(task, "follow"):
        with torch.no_grad():
            abilities(task).follow(network)


def begin(task: Task, network: nn.Module) -> None:
    """Set the network's companion as it is before the first step, where the task says how."""
    if can(task, "begin"):
        with torch.no_grad():
            abilities(task).begin(network)
