"""Squares of an input are moved at random, and kept where the final model's answer gets worse: no gradient is asked.

Andriushchenko, Croce, Flammarion and Hein 2020, Square attack: a query-efficient black-box adversarial attack via
random search (ECCV). Where it finds more than ascent does, gradients were hidden, and nothing is withstood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from common.adversarial.perturbations import square
from common.study.checks import positive
from experiments.access import Need
from experiments.attack import Attack, Finding, Sees
from experiments.attacks.evasion.ascent import evade
from experiments.observation import Observation


@dataclass(frozen=True)
class Square:
    """queries: answers that are asked for, of each case."""

    sees: ClassVar[Sees] = "model"
    uses: ClassVar[Sees] = "model"
    source: ClassVar[str] = square.Square.source
    question: ClassVar[str] = "evasion"
    needs: ClassVar[tuple[Need, ...]] = ("tests",)
    share: ClassVar[float] = 0.5
    elsewhere: ClassVar[float] = 0.5
    words: ClassVar[str] = "moves squares of an input at random, by the model's answers alone"

    queries: int = 100

    def __post_init__(self) -> None:
        positive("attack", queries=self.queries)

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Inputs within each size and within the range of the data."""
        return evade("square", self, observed, budget_seconds, square.Square(self.queries), rng)


attack: type[Attack] = Square
