"""The gradient of an aim by the inputs, and a network that is asked without being changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from common.attribution.aim import Aim
from common.errors import AttributionError


def input_gradient(network: nn.Module, inputs: Tensor, aim: Aim) -> Tensor:
    """Of every case's own number by its own input, as the inputs are. Raises AttributionError where there is none."""
    leaf = inputs.detach().clone().requires_grad_(True)
    with asked(network), torch.enable_grad():
        value = aim.values(network, leaf).sum()
        (found,) = torch.autograd.grad(value, leaf, allow_unused=True) if value.requires_grad else (None,)
    if found is None:
        raise AttributionError(
            f"{aim.words} has no gradient by the inputs: it does not depend on them, or the network is a file that "
            "is asked and not looked into (ONNX, TorchScript). Take occlusion."
        )
    return found.detach()


@contextmanager
def asked(network: nn.Module) -> Iterator[nn.Module]:
    """The network in evaluation mode and without hooks on what flows back, all restored afterwards.

    Such hooks are another's, as Opacus', which would take the gradient for one of training.
    """
    modules = list(network.modules())
    modes = [(module, module.training) for module in modules]
    hooks = [kept for module in modules for kept in (module._backward_hooks, module._backward_pre_hooks)]
    held = [dict(kept) for kept in hooks]
    network.eval()
    for kept in hooks:
        kept.clear()
    try:
        yield network
    finally:
        for kept, before in zip(hooks, held, strict=True):
            kept.update(before)
        for module, mode in modes:
            module.training = mode
