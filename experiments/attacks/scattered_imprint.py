"""An imprint in several directions at once, under a little noise: fewer of its rows are alike than of a plain one.

Each block of units sorts cases along a direction of its own, as an imprint sorts them by brightness. It is what a
coordinator would try that knows the check for rows of one direction.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from common.errors import StudyError
from common.learning.parameters import new_network, read
from common.seeding import torch_generator
from common.study.study import Study
from experiments.access import Answers, Need
from experiments.attack import Attack, Finding, Sees
from experiments.attacks.cheating.imprint import Held, blur, closer, held, imprinted, linear_layers
from experiments.attacks.cheating.orders import MOST_FOUND, cases_behind, first_inputs, later_rounds, order_of
from experiments.attacks.cheating.played import Played, finding_of
from experiments.evidence.budget import Budget
from experiments.observation import Observation

LOWEST, HIGHEST = -4.0, 4.0
LEAST_UNITS = 4
"""Of a block: of fewer there is nothing between."""


@dataclass(frozen=True)
class ScatteredImprint:
    """directions: of blocks of units. blur: noise, of rows' norms. orders: one after the other."""

    sees: ClassVar[Sees] = "model"
    source: ClassVar[str] = "Fowl et al. 2022, Robbing the Fed; several directions are our own"
    question: ClassVar[str] = "reconstruction"
    needs: ClassVar[tuple[Need, ...]] = ("answers",)
    words: ClassVar[str] = "an imprint in several directions at once, where a check may look for one"

    directions: int = 5
    blur: float = 0.05
    orders: int = 3

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """What the answers to the last order held, block by block."""
        return finding_of("scattered_imprint", observed, asdict(self), self._played, budget_seconds)

    def _played(self, observed: Observation, study: Study, answers: Answers, budget: Budget) -> Played:
        network = new_network(study.build_task(), observed.shape, study.seed, study.training)
        blocks = list(np.array_split(np.arange(linear_layers(network)[0].out_features), self.directions))
        if min(map(len, blocks)) < LEAST_UNITS:
            raise StudyError("the first layer has too few units for an imprint in several directions.")
        cases = sum(cases_behind(study, observed.cases[site]) for site in answers.sites)
        thresholds = [np.linspace(LOWEST, HIGHEST, len(block)) for block in blocks]
        seen: list[Held] = []
        for number, _ in later_rounds(study, self.orders, budget):
            if seen:
                thresholds = [closer(one, what, cases) for one, what in zip(thresholds, seen, strict=True)]
            order = order_of(study, number, self._sent(network, blocks, thresholds, study.seed))
            total = answers.answer(order).vectors[0].astype(np.float64)
            error = answers.rounding(order, float(np.abs(total).max()))
            seen = [held(network, total, error, block) for block in blocks]
        inputs = np.concatenate([one.inputs[: MOST_FOUND // self.directions + 1] for one in seen])
        return Played(order, ((answers.sites, first_inputs(inputs, observed.shape.inputs)),))

    def _sent(
        self, network: nn.Module, blocks: list[NDArray[np.int64]], thresholds: list[NDArray[np.float64]], seed: int
    ) -> NDArray[np.float32]:
        imprinted(network, np.concatenate(thresholds))
        first, generator = linear_layers(network)[0], torch_generator(seed, "audit", "scattered")
        with torch.no_grad():
            for block in blocks:
                direction = torch.randn(first.in_features, generator=generator) / first.in_features**0.5
                first.weight[torch.from_numpy(block)] = direction
        blur(network, self.blur, generator)
        return read(network)


attack: type[Attack] = ScatteredImprint
