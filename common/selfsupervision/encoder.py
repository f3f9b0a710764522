"""An encoder: any network without its last layer, whose parameters keep the names that they have in the whole one.

What was pretrained so is taken by a study of the whole network: `[start] part = "encoder"`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from common.data.cases import Shape
from common.errors import StudyError, first_line
from common.learning.parameters import refuse_unsuitable
from common.learning.task import Network, Task
from common.study.catalogue import NETWORKS
from common.study.options import Entry

PART = "encoder"
"""What a pretraining network calls its own."""


@dataclass(frozen=True)
class Encoder:
    """network: (N, ...) inputs -> (N, width) features."""

    network: nn.Module
    width: int


@runtime_checkable
class Encodes(Protocol):
    """What a network entry may have beside its role, where its features are not what its last linear layer takes."""

    def build_encoder(self, shape: Shape) -> Encoder:
        """A fresh encoder, whose parameters are called as in the whole network."""
        ...


def encoder_of(entry: Entry, shape: Shape) -> Encoder:
    """A fresh encoder of cases of `shape`. shape.classes is of no account: there are no labels.

    Raises StudyError where the network does not take the shape, or has no last layer that could be left out.
    """
    made = NETWORKS.build(entry)
    unlabelled = Shape(shape.inputs, 1)
    if isinstance(made, Encodes):
        found = made.build_encoder(unlabelled)
    else:
        network = cast(Network, made).build(unlabelled)
        found = Encoder(network, _without_last_layer(network, entry.name))
    refuse_unsuitable(found.network)
    _refuse_other_answers(found, unlabelled, entry.name)
    return found


def encoder_within(task: Task, network: nn.Module, shape: Shape) -> tuple[nn.Module, str]:
    """The encoder of a task's network, with its parameters, and how their names begin in the network.

    shape: of what the network is shown. A network of nothing but its encoder is answered itself: what one that
    outlines makes of an image is a map, and the network says which numbers are its features.
    Raises StudyError where the network has none.
    """
    if isinstance(own := getattr(network, PART, None), nn.Module):
        is_all = [name for name, _ in network.named_children()] == [PART]
        return (network, "") if is_all else (own, f"{PART}.")
    entry = getattr(task, "network", None)
    if not isinstance(entry, Entry):
        raise StudyError("the study's task has no network of which an encoder could be taken (task.network).")
    with torch.random.fork_rng(devices=[]):
        fresh = encoder_of(entry, shape).network
    held = network.state_dict()
    lacking = [name for name in fresh.state_dict() if name not in held]
    if lacking:
        raise StudyError(f"the study's network has no {lacking[0]}, which an encoder of {entry.name!r} has.")
    fresh.load_state_dict({name: held[name] for name in fresh.state_dict()})
    return fresh, ""


def perceptron(*widths: int) -> nn.Sequential:
    """Linear layers with layer normalisation and ReLU between them: what lies behind an encoder while it learns.

    There is no batch normalisation in a federation (`common.learning.layers`).
    """
    layers: list[nn.Module] = []
    for narrow, wide in pairwise(widths[:-1]):
        layers += [nn.Linear(narrow, wide), nn.LayerNorm(wide), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))


def _without_last_layer(network: nn.Module, name: str) -> int:
    """Leaves it out in place. Returns how many numbers it was shown."""
    linear = [path for path, module in network.named_modules() if isinstance(module, nn.Linear)]
    learned = [path for path, module in network.named_modules() if list(module.parameters(recurse=False))]
    if not linear or linear[-1] != learned[-1]:
        last = type(network.get_submodule(learned[-1])).__name__ if learned else "nothing that learns"
        raise StudyError(
            f"network {name!r} ends with {last}, and an encoder is a network without its last linear layer: choose "
            "'groupnorm_cnn' or 'vit', or give the network a method build_encoder."
        )
    parent, _, own = linear[-1].rpartition(".")
    layer = cast(Any, network.get_submodule(linear[-1]))
    setattr(network.get_submodule(parent), own, nn.Identity())
    return int(layer.in_features)


def _refuse_other_answers(encoder: Encoder, shape: Shape, name: str) -> None:
    try:
        with torch.no_grad():
            answered: Tensor = encoder.network(torch.zeros(1, *shape.inputs))
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
        line = first_line(error)
        raise StudyError(f"network {name!r} cannot take a case of shape {shape.inputs}: {line}") from error
    if tuple(answered.shape) != (1, encoder.width):
        raise StudyError(
            f"network {name!r} without its last layer answers {tuple(answered.shape[1:])} numbers; features are "
            f"({encoder.width},)."
        )
