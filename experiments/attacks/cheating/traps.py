"""Traps: units of random directions, each with a threshold that one case alone is beyond.

From order to order each unit's threshold rises where some case reached it and falls where none did, until the case
that reaches furthest is alone in it. A row of the gradient by its bias' gradient is then what that case showed the
layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from common.learning.parameters import Layout, read
from common.seeding import torch_generator
from common.study.study import Study
from common.sums.update import Vector
from common.wire.train_requests import Order
from experiments.access import Answers
from experiments.attacks.cheating.imprint import linear_layers
from experiments.attacks.cheating.orders import later_rounds, order_of
from experiments.evidence.budget import Budget

AGREE = 1e-2
"""Relative difference below which two units show one input, where all of an input differs from case to case."""
NOTHING, FAINTEST = 1e-12, 1e-6
"""Of the loudest unit's: a smaller gradient of a threshold is silence."""


@dataclass(frozen=True)
class Search:
    """lowest, highest: between which a unit's threshold is sought. orders: one after the other, each halving that.
    share: of the layer's units that are made traps; the others stay what they are.
    """

    lowest: float = 0.01
    highest: float = 100.0
    orders: int = 10
    share: float = 1.0


def caught_by(
    network: nn.Module, study: Study, answers: Answers, search: Search, budget: Budget, agree: float = AGREE
) -> tuple[Order, NDArray[np.float64]]:
    """The last order, and (N, features) what the first linear layer was shown, that of most units first.

    network: what stands before that layer is sent as it is. agree: as AGREE.
    """
    units = max(1, round(search.share * linear_layers(network)[0].out_features))
    reached, unreached = np.full(units, search.lowest), np.full(units, search.highest)
    asked = False
    for number, is_last in later_rounds(study, search.orders, budget):
        thresholds = reached if is_last and asked else np.sqrt(reached * unreached)
        asked = True
        order = order_of(study, number, traps(network, thresholds, study.seed))
        total = answers.answer(order).vectors[0].astype(np.float64)
        error = answers.rounding(order, float(np.abs(total).max()))
        speaks = _speaks(_first(network, total)[1][:units], error)
        reached, unreached = np.where(speaks, thresholds, reached), np.where(speaks, unreached, thresholds)
    return order, caught(network, total, error, agree, units)


def traps(network: nn.Module, thresholds: NDArray[np.float64], seed: int) -> Vector:
    """(P,) the network's parameters with so many units of the first linear layer made traps; it becomes them.

    A unit's weights in the next layer are unlike for any two classes, so that no class is without a gradient.
    """
    first, second = linear_layers(network)[:2]
    generator, units = torch_generator(seed, "audit", "traps"), len(thresholds)
    with torch.no_grad():
        rows = torch.randn((units, first.in_features), generator=generator)
        rows -= rows.mean(1, keepdim=True)
        first.weight[:units] = rows / rows.norm(dim=1, keepdim=True)
        first.bias[:units] = -torch.from_numpy(thresholds).float()
        unlike = torch.linspace(0, 1, second.out_features) ** 2 / first.out_features**0.5
        second.weight[:, :units] = unlike[:, None]
    return read(network)


def caught(
    network: nn.Module, gradient: NDArray[np.float64], error: float, agree: float, units: int
) -> NDArray[np.float64]:
    """(N, features) what the first layer's rows hold, those of most rows first. error: of any number, by
    rounding. units: the first so many are traps."""
    weight, bias = (part[:units] for part in _first(network, gradient))
    size = np.abs(bias)
    loud = np.flatnonzero(_speaks(bias, error))
    shown = weight[loud] / bias[loud, None]
    groups: list[list[int]] = []
    for index, row in enumerate(shown):
        same = [one for one in groups if np.linalg.norm(shown[one[0]] - row) <= agree * np.linalg.norm(row)]
        if same:
            same[0].append(index)
        else:
            groups.append([index])
    groups.sort(key=lambda one: (-len(one), -size[loud[one[0]]]))
    return np.array([shown[one].mean(0) for one in groups]).reshape(-1, weight.shape[1])


def _speaks(bias: NDArray[np.float64], error: float) -> NDArray[np.bool_]:
    """(units,) whether any case reached a unit."""
    size = np.abs(bias)
    return np.asarray(size > max(FAINTEST * size.max(initial=0), 2 * error, NOTHING))


def _first(network: nn.Module, gradient: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    tensors = Layout.of(network).tensors(gradient.astype(np.float32))
    layer = linear_layers(network)[0]
    name = next(name for name, module in network.named_modules() if module is layer)
    return tensors[f"{name}.weight"].astype(np.float64), tensors[f"{name}.bias"].astype(np.float64)
