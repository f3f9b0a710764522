"""A case the final model does well on was probably trained on.

Yeom, Giacomelli, Fredrikson and Jha 2018, Privacy risk in machine learning: analyzing the connection to overfitting
(CSF), adversary 2: membership is the more likely the lower the loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from experiments.access import Need
from experiments.attack import Attack, Finding, Per, Sees
from experiments.attacks.membership.pool import FINAL_MODEL, by_hospital
from experiments.evidence.target_model import Target
from experiments.observation import Observation


@dataclass(frozen=True)
class LossThreshold:
    """It has no options."""

    sees: ClassVar[Sees] = "model"
    uses: ClassVar[Sees] = "model"
    source: ClassVar[str] = "Yeom et al. 2018, Privacy risk in machine learning (CSF)"
    question: ClassVar[str] = "membership"
    needs: ClassVar[tuple[Need, ...]] = ("candidates",)
    per: ClassVar[Per] = "run"
    share: ClassVar[float] = 0.1
    called: ClassVar[str] = "taking whom the model knows best"
    words: ClassVar[str] = "takes for patients of the study those on whom the final model does best"

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Scores are minus the losses on the final model."""
        return by_hospital(
            "loss_threshold",
            self,
            observed,
            budget_seconds,
            lambda _site, cases, _budget: -Target.of(observed).losses(observed.final_model, cases),
            FINAL_MODEL,
        )


attack: type[Attack] = LossThreshold
