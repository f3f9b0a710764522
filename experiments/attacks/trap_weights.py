"""Trap weights: first-layer units of random directions, each of which one case alone reaches, so that it copies it.

Every unit looks in a direction of its own, so that no two are alike. From order to order each unit's threshold rises
where some case reached it and falls where none did, until the case that reaches furthest is alone in it. A row of the
gradient by its bias' gradient is then that case; rows that agree are of one case.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from common.learning.parameters import new_network
from common.study.study import Study
from experiments.access import Answers, Need
from experiments.attack import Attack, Finding, Sees
from experiments.attacks.cheating.orders import first_inputs
from experiments.attacks.cheating.played import Played, finding_of
from experiments.attacks.cheating.traps import Search, caught_by
from experiments.evidence.budget import Budget
from experiments.observation import Observation


@dataclass(frozen=True)
class TrapWeights(Search):
    """As `Search`."""

    sees: ClassVar[Sees] = "model"
    source: ClassVar[str] = (
        "Boenisch et al. 2023, When the Curious Abandon Honesty; thresholds from order to order are our own"
    )
    question: ClassVar[str] = "reconstruction"
    needs: ClassVar[tuple[Need, ...]] = ("answers",)
    name: ClassVar[str] = "trap_weights"
    words: ClassVar[str] = "a model whose units are traps, each of which hardly any case reaches"

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """The inputs in the traps, those first on which traps agree."""
        return finding_of(self.name, observed, asdict(self), self._played, budget_seconds)

    def _played(self, observed: Observation, study: Study, answers: Answers, budget: Budget) -> Played:
        network = new_network(study.build_task(), observed.shape, study.seed, study.training)
        order, inputs = caught_by(network, study, answers, self, budget)
        return Played(order, ((answers.sites, first_inputs(inputs, observed.shape.inputs)),))


attack: type[Attack] = TrapWeights
