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
        raise AttributionError(f"{aim.words} does not depend on the inputs, so there is nothing to attribute to them.")
    return found.detach()


@contextmanager
def asked(network: nn.Module) -> Iterator[nn.Module]:
    """The network in evaluation mode, every module's own mode restored afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield network
    finally:
        for module, mode in modes:
            module.training = mode
