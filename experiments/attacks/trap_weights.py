"""Trap weights: first-layer units of random directions, each of which one case alone reaches, so that it copies it.

Every unit looks in a direction of its own, so that no two are alike. From order to order each unit's threshold rises
where some case reached it and falls where none did, until the case that reaches furthest is alone in it. A row of the
gradient by its bias' gradient is then that case; rows that agree are of one case.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from common.learning.parameters import Layout, new_network, read
from common.seeding import torch_generator
from common.study.study import Study
from common.sums.update import Vector
from experiments.access import Answers, Need
from experiments.attack import Attack, Finding, Sees
from experiments.attacks.cheating.imprint import linear_layers
from experiments.attacks.cheating.orders import first_inputs, later_rounds, order_of
from experiments.attacks.cheating.played import Played, finding_of
from experiments.observation import Observation

AGREE = 1e-2
"""Relative difference below which two units show one input."""
NOTHING = 1e-12
FAINTEST = 1e-6
"""Of the loudest unit's: a smaller gradient of a threshold is silence."""


@dataclass(frozen=True)
class TrapWeights:
    """lowest, highest: between which a unit's threshold is sought. orders: one after the other, each halving that."""

    sees: ClassVar[Sees] = "model"
    source: ClassVar[str] = (
        "Boenisch et al. 2023, When the Curious Abandon Honesty; thresholds from order to order are our own"
    )
    question: ClassVar[str] = "reconstruction"
    needs: ClassVar[tuple[Need, ...]] = ("answers",)
    words: ClassVar[str] = "a model whose units are traps, each of which hardly any case reaches"

    lowest: float = 0.01
    highest: float = 100.0
    orders: int = 10

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """The inputs in the traps, those first on which traps agree."""
        return finding_of("trap_weights", observed, asdict(self), self._played)

    def _played(self, observed: Observation, study: Study, answers: Answers) -> Played:
        network = new_network(study.build_task(), observed.shape, study.seed, study.training)
        units = linear_layers(network)[0].out_features
        reached, unreached = np.full(units, self.lowest), np.full(units, self.highest)
        order, total, error = None, None, 0.0
        numbers = later_rounds(study, self.orders)
        for count, number in enumerate(numbers, 1):
            thresholds = reached if count == len(numbers) > 1 else np.sqrt(reached * unreached)
            order = order_of(study, number, traps(network, thresholds, study.seed))
            total = answers.answer(order).vectors[0].astype(np.float64)
            error = answers.rounding(order, float(np.abs(total).max()))
            speaks = _speaks(_first(network, total)[1], error)
            reached, unreached = np.where(speaks, thresholds, reached), np.where(speaks, unreached, thresholds)
        assert order is not None and total is not None
        return Played(order, ((answers.sites, first_inputs(caught(network, total, error), observed.shape.inputs)),))


def traps(network: nn.Module, thresholds: NDArray[np.float64], seed: int) -> Vector:
    """(P,) the network's parameters with its first two linear layers replaced; the network becomes them."""
    first, second = linear_layers(network)[:2]
    generator = torch_generator(seed, "audit", "traps")
    with torch.no_grad():
        rows = torch.randn(first.weight.shape, generator=generator)
        first.weight.copy_(rows / rows.norm(dim=1, keepdim=True))
        first.bias.copy_(-torch.from_numpy(thresholds).float())
        unlike = torch.linspace(0, 1, second.out_features) ** 2 / first.out_features
        second.weight.copy_(unlike[:, None].expand_as(second.weight))
    return read(network)


def caught(network: nn.Module, gradient: NDArray[np.float64], error: float) -> NDArray[np.float64]:
    """(N, features) what the first layer's rows hold, those of most rows first. error: of any number, by rounding."""
    weight, bias = _first(network, gradient)
    size = np.abs(bias)
    loud = np.flatnonzero(_speaks(bias, error))
    shown = weight[loud] / bias[loud, None]
    groups: list[list[int]] = []
    for index, row in enumerate(shown):
        same = [one for one in groups if np.linalg.norm(shown[one[0]] - row) <= AGREE * np.linalg.norm(row)]
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


attack: type[Attack] = TrapWeights
