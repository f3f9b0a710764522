"""The network of a task, checked to answer what the task asks."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from common.cases import Shape
from common.catalogue import NETWORKS
from common.errors import StudyError
from common.options import Entry
from common.task import Network


def build_fitting(entry: Entry, shape: Shape, logits: tuple[int, ...], task: str) -> nn.Module:
    """A fresh network that answers one case of `shape` with logits of the shape wanted.

    Raises StudyError where the network cannot take the shape, or answers with another.
    """
    network = cast(Network, NETWORKS.build(entry)).build(shape)
    with torch.no_grad():
        answered = tuple(network(torch.zeros(1, *shape.inputs)).shape[1:])
    if answered != logits:
        raise StudyError(
            f"network {entry.name!r} answers a case of shape {shape.inputs} with logits of shape {answered}; "
            f"task {task!r} needs {logits}. Choose a network made for it."
        )
    return network
