"""Deep leakage from gradients: random inputs and labels are moved until their gradient equals the captured one.

Zhu, Liu and Han 2019, Deep Leakage from Gradients (NeurIPS), algorithm 1: L-BFGS on the squared distance between the
gradient at (x, y) and the captured one, labels as a softmax that is moved with the inputs. For one case the label is
read from the sign of the last layer's gradient instead: Zhao, Mopuri and Bilen 2020, iDLG, equation 4.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from common.study.checks import positive
from experiments.attack import Attack, Finding, Sees
from experiments.attacks.inversion.descent import lbfgs
from experiments.attacks.inversion.distances import relative_squared_distance
from experiments.attacks.inversion.inverting import Limits, invert
from experiments.attacks.inversion.problem import Attempt, InversionProblem, best_of_restarts
from experiments.evidence.budget import Budget
from experiments.observation import Observation


@dataclass(frozen=True)
class DeepLeakage:
    """iterations: of L-BFGS in each restart, in float64 but of large volumes. restarts: from other noise; the
    smallest distance counts.

    updates: how many are attacked. largest_batch: most inputs searched at once.
    """

    sees: ClassVar[Sees] = "sum"
    source: ClassVar[str] = "Zhu et al. 2019, Deep Leakage from Gradients (NeurIPS); Zhao et al. 2020, iDLG"
    called: ClassVar[str] = "matching a gradient and its labels (DLG)"
    words: ClassVar[str] = "moves an image and its label until their gradient is the update"
    elsewhere: ClassVar[float] = 0.0

    iterations: int = 2000
    restarts: int = 3
    updates: int = 1
    largest_batch: int = 16

    def __post_init__(self) -> None:
        positive("attack", iterations=self.iterations, restarts=self.restarts)
        positive("attack", updates=self.updates, largest_batch=self.largest_batch)

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Inputs and labels whose gradient equals the captured one."""
        limits = Limits(self.updates, self.largest_batch)
        return invert("dlg", observed, rng, budget_seconds, limits, self.search, asdict(self))

    def search(self, problem: InversionProblem, generator: torch.Generator, budget: Budget) -> Attempt:
        """The best of the restarts. Labels of several cases are searched, not recovered, as in the paper."""
        searched = problem.precise()
        if problem.inputs[0] > 1:
            searched = replace(searched, labels=None)
        return best_of_restarts(searched, generator, budget, self.restarts, self._once)

    def _once(self, problem: InversionProblem, generator: torch.Generator, budget: Budget) -> Attempt:
        guess = problem.random_guess(generator)

        def distance() -> Tensor:
            ours = problem.victim.gradient(guess.inputs, guess.truth)
            return relative_squared_distance(ours, problem.captured)

        return Attempt.of(guess, lbfgs(distance, guess.unknowns, self.iterations, budget))


attack: type[Attack] = DeepLeakage
