"""An imprint: a cheating coordinator's model that sorts a hospital's cases by brightness and copies them.

Where the study's network cannot carry one, the coordinator sends a study of its own that nobody approved: another
network, no privacy and no protected sum.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from common.learning.parameters import new_network
from common.seeding import torch_generator
from common.study.study import Study
from common.wire.train_requests import Order
from experiments.access import Answers, Need
from experiments.attack import Attack, Finding, Sees
from experiments.attacks.cheating.imprint import Held, blur, closer, held, imprinted, wide_thresholds
from experiments.attacks.cheating.orders import cases_behind, later_rounds, order_of, spread_inputs
from experiments.attacks.cheating.played import Played, finding_of
from experiments.evidence.budget import Budget
from experiments.observation import Observation

LOWEST, HIGHEST = -4.0, 4.0
"""Of an input's mean, as the coordinator begins; inputs are scaled."""
ORDERS = 3
"""One after the other, each with thresholds closer to the cases."""


@dataclass(frozen=True)
class Imprint:
    """blur: noise on the imprint, of its weights' norm; orders: one after the other."""

    sees: ClassVar[Sees] = "model"
    source: ClassVar[str] = (
        "Fowl et al. 2022, Robbing the Fed; thresholds without knowledge of the data and the blur are our own"
    )
    question: ClassVar[str] = "reconstruction"
    name: ClassVar[str] = "imprint"
    needs: ClassVar[tuple[Need, ...]] = ("answers",)
    words: ClassVar[str] = "a model that sorts a hospital's cases by brightness and copies them into its answer"

    blur: float = 0.0
    orders: int = ORDERS

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """What the answers to the last order held, had hospitals not looked at what they were sent."""
        return finding_of(self.name, observed, asdict(self), self._played, budget_seconds)

    def _played(self, observed: Observation, study: Study, answers: Answers, budget: Budget) -> Played:
        order, seen = self._asked(observed, study, answers, budget)
        back = spread_inputs(seen, observed.shape.inputs)
        return Played(order, ((answers.sites, back),), settings={"range": [LOWEST, HIGHEST]})

    def _asked(self, observed: Observation, study: Study, answers: Answers, budget: Budget) -> tuple[Order, Held]:
        network = new_network(study.build_task(), observed.shape, study.seed, study.training)
        cases = sum(cases_behind(study, observed.cases[site]) for site in answers.sites)
        thresholds, order, seen = wide_thresholds(network, LOWEST, HIGHEST), None, None
        for number, _ in later_rounds(study, self.orders, budget):
            thresholds = thresholds if seen is None else closer(thresholds, seen, cases)
            order = order_of(study, number, self._sent(network, study, number, thresholds))
            total = answers.answer(order).vectors[0].astype(np.float64)
            seen = held(network, total, answers.rounding(order, float(np.abs(total).max())))
        assert order is not None and seen is not None
        return order, seen

    def _sent(
        self, network: nn.Module, study: Study, number: int, thresholds: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        parameters = imprinted(network, thresholds)
        if not self.blur:
            return parameters
        return blur(network, self.blur, torch_generator(study.seed, "audit", "blur", number))


attack: type[Attack] = Imprint
