"""A member's loss falls where its own hospital has trained.

The model after a hospital's local steps, which a coordinator makes from a single update, has a member by heart more
than the mean of all hospitals' (the losses over rounds of Zari, Xu and Neglia 2021, Efficient passive membership
inference attack in federated learning). Who sees no single update does the same with the models sent around.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from common.data.cases import Cases, SiteId
from experiments.access import Need
from experiments.attack import Attack, Finding, Per, Sees
from experiments.attacks.membership.lira import log_odds
from experiments.attacks.membership.pool import by_hospital
from experiments.attacks.membership.rounds import local_models, read_of_rounds, spread
from experiments.evidence.budget import Budget
from experiments.evidence.target_model import Floats, Target, standardised
from experiments.observation import Observation


@dataclass(frozen=True)
class LossesOverRounds:
    """rounds: so many are looked at, evenly spread."""

    sees: ClassVar[Sees] = "models"
    source: ClassVar[str] = "Zari et al. 2021, Efficient passive membership inference attack in federated learning"
    question: ClassVar[str] = "membership"
    needs: ClassVar[tuple[Need, ...]] = ("candidates",)
    per: ClassVar[Per] = "run"
    called: ClassVar[str] = "watching the error on a case over the rounds"
    words: ClassVar[str] = "takes for patients of a hospital those on whom its training made the models better"

    rounds: int = 8

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Scores are means over rounds, the latest first while time lasts, of the standardised log-odds (lira.py)."""
        if len(observed.models) < 2:
            return Finding("losses_over_rounds", observed.observer, False, "sees the final model alone, and no round")

        def scored(site: SiteId, cases: Cases, budget: Budget) -> Floats:
            return self._scores(observed, site, cases, budget)

        knowledge = read_of_rounds(observed)
        return by_hospital("losses_over_rounds", self, observed, budget_seconds, scored, knowledge)

    def _scores(self, observed: Observation, site: SiteId, cases: Cases, budget: Budget) -> Floats:
        target = Target.of(observed)
        models = local_models(observed, site) or observed.models
        found: list[Floats] = []
        for number in spread(sorted(models), self.rounds):
            if found and budget.left == 0:
                break
            found.append(standardised(log_odds(target.losses(models[number], cases))))
        return np.asarray(np.mean(found, axis=0))


attack: type[Attack] = LossesOverRounds
