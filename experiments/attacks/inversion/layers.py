"""Which layers of a network run first and last, found by running it once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.data.cases import Shape


@dataclass(frozen=True)
class Layer:
    """A layer with learned parameters of its own. seen: (1, ...) what it was shown in the one run."""

    name: str
    module: nn.Module
    seen: Tensor


def layers_in_order(network: nn.Module, shape: Shape) -> list[Layer]:
    """All layers that hold learned parameters themselves, in the order in which they first run."""
    found: dict[str, Layer] = {}
    hooks = []
    for name, module in network.named_modules():
        if any(parameter.requires_grad for parameter in module.parameters(recurse=False)):
            hooks.append(module.register_forward_pre_hook(_note(found, name)))
    try:
        with torch.no_grad():
            network(next(network.parameters()).new_zeros(1, *shape.inputs))
    finally:
        for hook in hooks:
            hook.remove()
    return list(found.values())


def _note(found: dict[str, Layer], name: str):  # type: ignore[no-untyped-def]
    def note(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        found.setdefault(name, Layer(name, module, arguments[0]))

    return note
