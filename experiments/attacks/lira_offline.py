"""A case is compared with what shadow models make of it that were not trained on it.

Carlini et al. 2022, Membership inference attacks from first principles (S&P), equation 4; see `membership/lira.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from experiments.access import Need
from experiments.attack import Attack, Finding, Per, Sees
from experiments.attacks.membership.by_shadows import by_shadows
from experiments.attacks.membership.lira import SOURCE, log_odds, offline
from experiments.attacks.membership.pool import Pool
from experiments.attacks.membership.shadows import MOST_SHADOWS, Shadows
from experiments.evidence.target_model import Floats
from experiments.observation import Observation


@dataclass(frozen=True)
class LiraOffline:
    """shadows: at most so many models are trained."""

    sees: ClassVar[Sees] = "model"
    uses: ClassVar[Sees] = "model"
    source: ClassVar[str] = SOURCE
    question: ClassVar[str] = "membership"
    needs: ClassVar[tuple[Need, ...]] = ("candidates",)
    per: ClassVar[Per] = "run"
    share: ClassVar[float] = 2.0
    called: ClassVar[str] = "comparing with models trained without the patient (LiRA)"
    words: ClassVar[str] = "compares the final model with models that the attacker trained without a patient"

    shadows: int = MOST_SHADOWS

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Scores are deviations. Shadows draw from the study's seed, so that all attacks share them."""
        return by_shadows("lira_offline", self, observed, budget_seconds, self.shadows, _deviations)


def _deviations(losses: Floats, shadows: Shadows, pool: Pool) -> Floats:
    return offline(log_odds(losses), list(map(log_odds, shadows.outside)))


attack: type[Attack] = LiraOffline
