"""A case is compared with what shadow models make of it when they were, and when they were not, trained on it.

Carlini et al. 2022, Membership inference attacks from first principles (S&P), Algorithm 1; see `membership/lira.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from experiments.access import Need
from experiments.attack import Attack, Finding, Per, Sees
from experiments.attacks.membership.by_shadows import by_shadows
from experiments.attacks.membership.lira import FEWEST_ONLINE, SOURCE, log_odds, online
from experiments.attacks.membership.pool import Pool
from experiments.attacks.membership.shadows import MOST_SHADOWS, Shadows
from experiments.evidence.target_model import Floats
from experiments.observation import Observation


@dataclass(frozen=True)
class LiraOnline:
    """shadows: at most so many models are trained."""

    sees: ClassVar[Sees] = "model"
    uses: ClassVar[Sees] = "model"
    source: ClassVar[str] = SOURCE
    question: ClassVar[str] = "membership"
    needs: ClassVar[tuple[Need, ...]] = ("candidates",)
    per: ClassVar[Per] = "run"
    share: ClassVar[float] = 2.0
    called: ClassVar[str] = "comparing with models trained with and without the patient (LiRA)"
    words: ClassVar[str] = "compares the final model with models that the attacker trained with and without a patient"

    shadows: int = MOST_SHADOWS

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Scores are log-likelihood ratios. Shadows draw from the study's seed, so that all attacks share them."""
        return by_shadows("lira_online", self, observed, budget_seconds, self.shadows, _ratios, FEWEST_ONLINE)


def _ratios(losses: Floats, shadows: Shadows, pool: Pool) -> Floats:
    inside, outside = (list(map(log_odds, one)) for one in (shadows.inside, shadows.outside))
    return online(log_odds(losses), inside, outside)


attack: type[Attack] = LiraOnline
