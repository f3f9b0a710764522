"""Every value of an input is moved again and again, never far from where it was, to where the final model errs most.

Madry, Makelov, Schmidt, Tsipras and Vladu 2018, Towards deep learning models resistant to adversarial attacks (ICLR):
ascent on the loss in L-infinity from random starts, of which each case keeps the one that raised its loss most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from common.adversarial.perturbations import pgd
from common.study.checks import positive
from experiments.access import Need
from experiments.attack import Attack, Finding, Sees
from experiments.attacks.evasion.ascent import evade
from experiments.observation import Observation


@dataclass(frozen=True)
class Pgd:
    """steps: of one ascent. step_share: of the size, each step; ten of a quarter can cross the allowed range and come
    back. restarts: ascents, each from a random start of its own.
    """

    sees: ClassVar[Sees] = "model"
    uses: ClassVar[Sees] = "model"
    source: ClassVar[str] = pgd.Pgd.source
    question: ClassVar[str] = "evasion"
    needs: ClassVar[tuple[Need, ...]] = ("tests",)
    words: ClassVar[str] = "moves every value of an input again and again, to where the model errs most"

    steps: int = 10
    step_share: float = 0.25
    restarts: int = 3

    def __post_init__(self) -> None:
        positive("attack", steps=self.steps, step_share=self.step_share, restarts=self.restarts)

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Inputs within each size and within the range of the data."""
        way = pgd.Pgd(self.steps, self.step_share, self.restarts)
        return evade("pgd", self, observed, budget_seconds, way, rng)


attack: type[Attack] = Pgd
