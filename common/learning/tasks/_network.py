"""The network of a task, checked to answer what the task asks."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from common.data.cases import Shape
from common.errors import StudyError, first_line
from common.learning.parameters import refuse_unsuitable
from common.learning.task import Network
from common.study.catalogue import NETWORKS
from common.study.options import Entry


def refuse_numbers(task: str, shape: Shape) -> None:
    """Raise StudyError where cases are not of two classes or more, as `task` needs."""
    if shape.classes < 2:
        held = "no classes: their targets are real numbers" if not shape.classes else "one class"
        raise StudyError(
            f"task {task!r} needs cases of at least 2 classes; these have {held}. Numbers are learned by task "
            "'regression', times to an event by 'survival'."
        )


def build_fitting(entry: Entry, shape: Shape, logits: tuple[int, ...], task: str) -> nn.Module:
    """A fresh network that answers one case of `shape` with logits of the shape wanted.

    Raises StudyError where the network cannot take the shape, or answers with another.
    """
    network = cast(Network, NETWORKS.build(entry)).build(shape)
    refuse_unsuitable(network)
    try:
        with torch.no_grad():
            answered = tuple(network(torch.zeros(1, *shape.inputs)).shape[1:])
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
        line = first_line(error)
        raise StudyError(f"network {entry.name!r} cannot take a case of shape {shape.inputs}: {line}") from error
    if answered != logits:
        raise StudyError(
            f"network {entry.name!r} answers a case of shape {shape.inputs} with logits of shape {answered}; "
            f"task {task!r} needs {logits}. Choose a network made for it."
        )
    return network
