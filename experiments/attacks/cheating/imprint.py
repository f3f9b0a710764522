"""A cheating server's model whose first layer copies inputs into the gradient (Fowl et al. 2022, Robbing the Fed).

Every unit of the first linear layer measures the mean brightness of an input and starts at another threshold, so that
two neighbours' gradients differ by the cases between their thresholds alone; where that is one case, it is exact. The
thresholds need no knowledge of the data: they begin wide, and move to where the last gradient said that cases are.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from common.learning.parameters import Layout, read
from common.sums.update import Vector

SILENT = 1e-5
"""Of the largest gradient of a threshold: a smaller difference between neighbours holds no case."""
NOTHING = 1e-9
APART = 4
"""Thresholds for each case that is looked for, so that most have a place of their own."""


@dataclass(frozen=True)
class Held:
    """What a gradient holds between neighbouring thresholds. bins: (N,) the lower threshold's number, rising.

    inputs: (N, features) float32, each a case or a mixture of several. shares: (N,) of the gradient, sum 1.
    """

    bins: NDArray[np.int64]
    inputs: NDArray[np.float32]
    shares: NDArray[np.float64]


def wide_thresholds(network: nn.Module, lowest: float, highest: float) -> NDArray[np.float64]:
    """(units,) of the first layer, evenly spaced: where nothing is known of the inputs but their range."""
    return np.linspace(lowest, highest, linear_layers(network)[0].out_features)


def imprinted(network: nn.Module, thresholds: NDArray[np.float64]) -> Vector:
    """(P,) the network's parameters with its first two linear layers replaced; the network becomes them.

    thresholds: (units of the first layer,), rising. A class' weight is unlike the mean of the others', so that no
    class is without a gradient.
    """
    first, second = linear_layers(network)[:2]
    with torch.no_grad():
        first.weight.fill_(1 / first.in_features)
        first.bias.copy_(-torch.from_numpy(thresholds))
        unlike = torch.linspace(0, 1, second.out_features) ** 2 / first.out_features
        second.weight.copy_(unlike[:, None].expand_as(second.weight))
    return read(network)


def blur(network: nn.Module, share: float, generator: torch.Generator) -> Vector:
    """(P,) the parameters after normal noise of `share` of its rows' norm came to the first two layers' weights."""
    with torch.no_grad():
        for layer in linear_layers(network)[:2]:
            norms = layer.weight.norm(dim=1, keepdim=True)
            noise = torch.randn(layer.weight.shape, generator=generator) / layer.in_features**0.5
            layer.weight.add_(share * norms * noise)
    return read(network)


def held(
    network: nn.Module, gradient: NDArray[np.floating], error: float = 0.0, rows: NDArray[np.int64] | None = None
) -> Held:
    """What a (P,) gradient holds between thresholds; what lies beyond the last one is left out as a mixture.

    error: of any number of the gradient, as the protocol's rounding gives it. rows: those of the first layer that
    have rising thresholds, where not all do.
    """
    tensors = Layout.of(network).tensors(gradient.astype(np.float32))
    first = linear_layers(network)[0]
    name = next(name for name, module in network.named_modules() if module is first)
    chosen = np.arange(first.out_features) if rows is None else rows
    weights = np.diff(tensors[f"{name}.weight"][chosen].astype(np.float64), axis=0)
    biases = np.diff(tensors[f"{name}.bias"][chosen].astype(np.float64))
    loudest = float(np.abs(tensors[f"{name}.bias"]).max())
    bins = np.flatnonzero(np.abs(biases) > max(NOTHING, SILENT * loudest, 2 * error))
    mass = np.abs(biases[bins])
    return Held(bins, np.asarray(weights[bins] / biases[bins, None], np.float32), mass / max(mass.sum(), NOTHING))


def closer(thresholds: NDArray[np.float64], seen: Held, cases: int) -> NDArray[np.float64]:
    """(units,) as many thresholds, in the places of the least bright of so many cases that most stand apart."""
    if not len(seen.bins):
        return thresholds
    units, wanted = len(thresholds), len(thresholds) / (APART * cases)
    within = seen.bins[: 1 + int(np.searchsorted(np.cumsum(seen.shares), min(wanted, 1 - NOTHING)))][: units - 1]
    each = (units - 1) // len(within)
    pieces = [np.linspace(thresholds[one], thresholds[one + 1], each, endpoint=False) for one in within]
    end = thresholds[within[-1] + 1]
    beyond = end + np.arange(units - each * len(within)) * (thresholds[1] - thresholds[0])
    return np.concatenate([*pieces, beyond])


def carries(network: nn.Module, inputs: tuple[int, ...]) -> bool:
    """Whether it begins with two linear layers that learn weights and bias, the first seeing the whole input."""
    own = [module for module in network.modules() if any(True for _ in module.parameters(recurse=False))]
    if len(own) < 2 or not isinstance(own[0], nn.Linear) or not isinstance(own[1], nn.Linear):
        return False
    learned = [own[0].weight, own[0].bias, own[1].weight]
    return own[0].in_features == prod(inputs) and all(one is not None and one.requires_grad for one in learned)


def linear_layers(network: nn.Module) -> list[nn.Linear]:
    """In their order."""
    return [module for module in network.modules() if isinstance(module, nn.Linear)]
