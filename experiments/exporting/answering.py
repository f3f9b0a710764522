"""A network without the parts that take no part in its answers: a teacher, or what stood behind an encoder."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn


def answering(network: nn.Module, example: Tensor) -> nn.Module:
    """A copy of the network, which answers the same; the network itself where each of its parts is asked.

    Parts are its children. One that cannot be left out, as its parameters are used behind its back, is not.
    """
    idle = _not_asked(network, example)
    if not idle:
        return network
    lean = deepcopy(network)
    for name in idle:
        delattr(lean, name)
    try:
        with torch.no_grad():
            same = torch.equal(lean(example), network(example))
    except (AttributeError, KeyError, RuntimeError):
        return network
    return lean if same else network


def _not_asked(network: nn.Module, example: Tensor) -> list[str]:
    asked: set[str] = set()
    handles = [
        module.register_forward_pre_hook(lambda *_, name=name: asked.add(name))
        for name, child in network.named_children()
        for module in child.modules()
    ]
    try:
        with torch.no_grad():
            network(example)
    finally:
        for handle in handles:
            handle.remove()
    return [name for name, _ in network.named_children() if name not in asked]
