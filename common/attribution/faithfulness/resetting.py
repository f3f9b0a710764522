"""A network that forgets what it learned, layer by layer from the last to the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy

import torch
from torch import Tensor, nn

from common.attribution.gradients import asked
from common.seeding import entropy, torch_generator


def cascade(network: nn.Module, inputs: Tensor, seed: int) -> Iterator[tuple[str, nn.Module]]:
    """Name of a layer and a copy of the network in which it and all that come after are as they might have begun.

    One step a layer of weights; a layer of scales alone, as a normalisation, goes with the weights before it. inputs:
    on which the order of layers is seen. The copy is the same object at every step. The network is left as it was.
    """
    copy = deepcopy(network)
    names = in_order(copy, inputs)
    layers = dict(copy.named_modules())
    for name in reversed(names):
        layer = layers[name]
        reset(layer, seed, name)
        if any(own.ndim > 1 for own in layer.parameters(recurse=False)) or name == names[0]:
            yield name, copy


def in_order(network: nn.Module, inputs: Tensor) -> list[str]:
    """Names of the modules that have parameters of their own, as the network asks them; () of what it never asks.

    A module whose parameters are read by its parent, as in attention, comes with the parent.
    """
    modules = dict(network.named_modules())
    first: dict[str, int] = {}

    def noting(name: str) -> Callable[..., None]:
        def note(*_: object) -> None:
            first.setdefault(name, len(first))

        return note

    handles = [module.register_forward_pre_hook(noting(name)) for name, module in modules.items()]
    try:
        with asked(network), torch.no_grad():
            network(inputs[:1])
    finally:
        for handle in handles:
            handle.remove()
    own = [name for name, module in modules.items() if any(True for _ in module.parameters(recurse=False))]
    return sorted((name for name in own if _when(name, first) is not None), key=lambda name: _when(name, first) or 0)


def reset(layer: nn.Module, seed: int, name: str) -> None:
    """Its own parameters as a fresh layer's; of a layer that does not say how it begins, normal draws of their own
    mean and spread. Global generators are left as they were."""
    begin = getattr(layer, "reset_parameters", None) or getattr(layer, "_reset_parameters", None)
    if begin is not None:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(entropy(seed, "reset", name) % 2**63)
            begin()
        return
    rng = torch_generator(seed, "reset", name)
    with torch.no_grad():
        for own in layer.parameters(recurse=False):
            drawn = torch.randn(own.shape, generator=rng).to(own)
            spread = own.std() if own.numel() > 1 else own.abs().mean()
            own.copy_(own.mean() + spread * drawn)


def _when(name: str, first: dict[str, int]) -> int | None:
    """When a module, or else the nearest one that it is part of, but for the whole network, was asked first."""
    while name and name not in first:
        name = name.rpartition(".")[0]
        if not name:
            return None
    return first.get(name)
