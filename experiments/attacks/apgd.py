"""Every value of an input is moved by steps that find their own length, to where the final model errs most.

Croce and Hein 2020, Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks
(ICML), algorithm 1 on the task's loss: what PGD misses by a badly chosen step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from common.adversarial.perturbations import apgd_ce
from common.study.checks import positive
from experiments.access import Need
from experiments.attack import Attack, Finding, Sees
from experiments.attacks.evasion.ascent import evade
from experiments.observation import Observation


@dataclass(frozen=True)
class Apgd:
    """steps: of the ascent."""

    sees: ClassVar[Sees] = "model"
    uses: ClassVar[Sees] = "model"
    source: ClassVar[str] = apgd_ce.ApgdCe.source
    question: ClassVar[str] = "evasion"
    needs: ClassVar[tuple[Need, ...]] = ("tests",)
    share: ClassVar[float] = 0.5
    elsewhere: ClassVar[float] = 0.5
    words: ClassVar[str] = "moves every value of an input by steps that find their own length"

    steps: int = 20

    def __post_init__(self) -> None:
        positive("attack", steps=self.steps)

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Inputs within each size and within the range of the data."""
        return evade("apgd", self, observed, budget_seconds, apgd_ce.ApgdCe(self.steps), rng)


attack: type[Attack] = Apgd
