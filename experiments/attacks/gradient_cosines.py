"""A member's gradient points where the update points.

Gradients of unlike cases of large networks are nearly orthogonal, so that what is left of its own in an update can be
told (the cosine of Li, Li and Ribeiro 2022, Effective passive membership inference attacks in federated learning
against overparameterized models). Who sees no single update does the same with sums, or with what changed from one
model to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from common.data.cases import Cases, SiteId
from experiments.access import Need
from experiments.attack import Attack, Finding, Per, Sees
from experiments.attacks.membership.pool import by_hospital
from experiments.attacks.membership.rounds import moves_of, read_of_rounds, spread
from experiments.evidence.budget import Budget
from experiments.evidence.target_model import Floats, Target, standardised
from experiments.observation import Observation


@dataclass(frozen=True)
class GradientCosines:
    """rounds: so many are looked at, evenly spread."""

    sees: ClassVar[Sees] = "models"
    source: ClassVar[str] = (
        "Li et al. 2022, Effective passive membership inference attacks in federated learning (ICLR)"
    )
    question: ClassVar[str] = "membership"
    needs: ClassVar[tuple[Need, ...]] = ("candidates",)
    per: ClassVar[Per] = "run"
    called: ClassVar[str] = "asking whether a case pulls where the model went"
    words: ClassVar[str] = "takes for patients of a hospital those who would have pulled the model where it went"

    rounds: int = 8

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Scores are means over rounds, the latest first while time lasts, of the standardised cosine."""

        def scored(site: SiteId, cases: Cases, budget: Budget) -> Floats | None:
            return self._scores(observed, site, cases, budget)

        return by_hospital("gradient_cosines", self, observed, budget_seconds, scored, read_of_rounds(observed))

    def _scores(self, observed: Observation, site: SiteId, cases: Cases, budget: Budget) -> Floats | None:
        target = Target.of(observed)
        found: list[Floats] = []
        for move in spread(moves_of(observed, site), self.rounds):
            if found and budget.left == 0:
                break
            found.append(standardised(target.cosines(move.parameters, cases, move.descent)))
        return np.mean(found, axis=0) if found else None


attack: type[Attack] = GradientCosines
