"""Inverting Gradients: a random image is moved until its gradient points as the captured one does.

Geiping, Bauermeister, Dröge and Moeller 2020, Inverting Gradients: How easy is it to break privacy in federated
learning? (NeurIPS). Equation 4: argmin over x of 1 - cos(gradient at x, captured gradient) + alpha TV(x), by Adam on
the sign of the gradient. This is the attack as it is taught: a random image and its gradient, the cosine distance
between the captured and the generated gradient, the image moved to make it small, again and again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from common.study.checks import non_negative, positive
from experiments.attack import Attack, Finding, Sees
from experiments.attacks.inversion.descent import adam, falling_by_tenths
from experiments.attacks.inversion.distances import cosine_distance
from experiments.attacks.inversion.inverting import Limits, invert
from experiments.attacks.inversion.priors import total_variation
from experiments.attacks.inversion.problem import Attempt, InversionProblem, best_of_restarts
from experiments.evidence.budget import Budget
from experiments.observation import Observation


@dataclass(frozen=True)
class InvertingGradients:
    """iterations: of Adam in each restart. learning_rate: its step, in units of the inputs.

    restarts: from other noise; the one of the smallest cosine distance counts. lowest, highest: range the inputs are
    kept in. updates: how many are attacked. largest_batch: most inputs searched at once.

    total_variation: its weight (alpha of the paper) beside the cosine distance.
    """

    sees: ClassVar[Sees] = "sum"
    source: ClassVar[str] = "Geiping et al. 2020, Inverting Gradients (NeurIPS)"
    called: ClassVar[str] = "matching the direction of a gradient"
    words: ClassVar[str] = "moves a smooth image until its gradient points as the update does"
    elsewhere: ClassVar[float] = 0.0

    iterations: int = 1000
    learning_rate: float = 0.1
    total_variation: float = 0.01
    restarts: int = 1
    lowest: float = -4.0
    highest: float = 4.0
    updates: int = 1
    largest_batch: int = 16

    def __post_init__(self) -> None:
        positive("attack", iterations=self.iterations, learning_rate=self.learning_rate, restarts=self.restarts)
        positive("attack", updates=self.updates, largest_batch=self.largest_batch)
        non_negative("attack", total_variation=self.total_variation)

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Images whose gradient points as the captured one."""
        limits = Limits(self.updates, self.largest_batch)
        return invert("inverting_gradients", observed, rng, budget_seconds, limits, self.search, asdict(self))

    def search(self, problem: InversionProblem, generator: torch.Generator, budget: Budget) -> Attempt:
        """The best of the restarts."""
        return best_of_restarts(problem, generator, budget, self.restarts, self._once)

    def _once(self, problem: InversionProblem, generator: torch.Generator, budget: Budget) -> Attempt:
        guess = problem.random_guess(generator)

        def distance() -> Tensor:
            return cosine_distance(problem.victim.gradient(guess.inputs, guess.truth), problem.captured)

        def objective(progress: float) -> Tensor:
            return distance() + self.total_variation * total_variation(guess.inputs).mean()

        adam(
            objective,
            guess.unknowns,
            self.iterations,
            budget,
            rate=self.learning_rate,
            schedule=falling_by_tenths,
            sign="hard",
            box=(self.lowest, self.highest),
        )
        return Attempt.of(guess, distance().item())


attack: type[Attack] = InvertingGradients
