"""A cheating server's model whose first layer copies inputs into the gradient (Fowl et al. 2022, Robbing the Fed).

Every unit of the first linear layer measures the mean brightness of an input and starts at another threshold, so that
two neighbours' gradients differ by the cases between their thresholds alone; where that is one case, it is exact.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from common.parameters import Layout, read
from common.update import Vector

SILENT = 1e-9
"""Differences of a bias' gradient below this hold no case."""


def imprinted(network: nn.Module, brightness: NormalDist) -> Vector:
    """(P,) the network's parameters with its first two linear layers replaced; the network becomes them.

    brightness: what the server expects of the inputs' means; the thresholds are its quantiles, rising.
    """
    first, second = _linear_layers(network)[:2]
    bins = first.out_features
    thresholds = [brightness.inv_cdf((index + 0.5) / bins) for index in range(bins)]
    with torch.no_grad():
        first.weight.fill_(1 / first.in_features)
        first.bias.copy_(-torch.tensor(thresholds))
        alike = torch.linspace(-1, 1, second.out_features) / bins
        second.weight.copy_(alike[:, None].expand_as(second.weight))
    return read(network)


def inputs_in(network: nn.Module, gradient: NDArray[np.float64]) -> NDArray[np.float32]:
    """(bins that hold a case, features) what each bin of a (P,) gradient holds: a case, or a mixture of several."""
    tensors = Layout.of(network).tensors(gradient.astype(np.float32))
    first = _linear_layers(network)[0]
    name = next(name for name, module in network.named_modules() if module is first)
    weights = tensors[f"{name}.weight"].astype(np.float64)
    biases = tensors[f"{name}.bias"].astype(np.float64)
    between_weights = weights - np.vstack([weights[1:], np.zeros_like(weights[:1])])
    between_biases = biases - np.append(biases[1:], 0.0)
    held = np.abs(between_biases) > max(SILENT, 1e-5 * float(np.abs(biases).max()))
    return np.asarray(between_weights[held] / between_biases[held, None], dtype=np.float32)


def _linear_layers(network: nn.Module) -> list[nn.Linear]:
    return [module for module in network.modules() if isinstance(module, nn.Linear)]
