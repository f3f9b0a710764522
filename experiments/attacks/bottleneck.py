"""Label-free inversion of one case: features at the narrow part of a network in closed form, then an image for them.

Where a convolution has as many output channels as its input has places, the gradient of its weights alone tells that
input (`_convolution_inputs`): the deepest level of a U-Net is such a layer, and so is the last one of many
classifiers. In a U-Net the layer behind it that joins the shortcut then tells the shortcut's features as well
(`_skipped_features`), at twice the resolution. Neither needs to know an outline or a label. What is left is to find
an image that has these features (Mahendran and Vedaldi 2015, Understanding Deep Image Representations by Inverting
Them, equations 1 and 4): descent from noise under total variation that fades away.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from common.checks import positive
from experiments.attack import Attack, Finding, Sees
from experiments.attacks._budget import Budget
from experiments.attacks._captured import captured_updates, what_is_seen_instead
from experiments.attacks._descent import adam
from experiments.attacks._inversion import finding, problem_of
from experiments.attacks._layers import layers_in_order
from experiments.attacks._priors import relative_total_variation
from experiments.attacks._problem import Attempt, Problem, best_of_restarts
from experiments.attacks._softened import Softened
from experiments.attacks._told import Told, told_by
from experiments.attacks.matching import warm_then_cosine
from experiments.observation import Observation

LARGEST_DOUBT = 0.02
"""Of the one solution; half of it and less were seen of gradients in float32, a tenth and more of wrong ranks."""

LEAKS_UNTIL = 0.6
"""Of the way: from here on ReLUs are what they are."""


@dataclass(frozen=True)
class Bottleneck:
    """iterations: of Adam in each restart. learning_rate: its step, in units of the inputs. prior: weight of total
    variation at first; last: what is left of it at last, as a share. leak: of ReLUs at first. restarts: the one whose features match best
    counts. lowest, highest: range the inputs are kept in. updates: how many are attacked, of one case each.
    """

    sees: ClassVar[Sees] = "each"
    source: ClassVar[str] = "own closed form of a convolution's input; Mahendran and Vedaldi 2015"

    iterations: int = 2500
    learning_rate: float = 0.05
    prior: float = 2.0
    last: float = 0.1
    leak: float = 0.3
    restarts: int = 4
    lowest: float = -4.0
    highest: float = 4.0
    updates: int = 1

    def __post_init__(self) -> None:
        positive("attack", iterations=self.iterations, learning_rate=self.learning_rate, prior=self.prior)
        positive("attack", last=self.last, restarts=self.restarts, updates=self.updates)

    def run(self, observed: Observation, rng: np.random.Generator, budget_seconds: float) -> Finding:
        """Inputs that have the features which the gradient tells."""
        budget, generator = Budget(budget_seconds), torch.Generator().manual_seed(int(rng.integers(2**62)))
        captured = captured_updates(observed)[: self.updates]
        if not captured:
            return self._impossible(observed, what_is_seen_instead(observed))
        attempts, doubts = [], []
        for index, one in enumerate(captured):
            if one.cases > 1:
                return self._impossible(observed, f"an update of {one.cases} cases; it takes one of a single case")
            problem = problem_of(observed, one, 1, generator)
            told = told_by(problem, layers_in_order(problem.victim.network, observed.shape))
            if told is None:
                return self._impossible(observed, "no convolution has as many channels as its input has places")
            doubts.append(told.doubt)
            if told.doubt > LARGEST_DOUBT:
                return self._impossible(observed, "the gradient of its narrow convolution does not tell one input")
            attempts.append(self.invert(problem, told, generator, budget.part(1 / (len(captured) - index))))
        found = finding("bottleneck", observed, captured, attempts, budget.spent, asdict(self))
        return found

    def invert(self, problem: Problem, told: Told, generator: torch.Generator, budget: Budget) -> Attempt:
        """The best of the restarts. distance: of its features from those told, relative and squared."""
        return best_of_restarts(problem, generator, budget, self.restarts, partial(self._once, told))

    def _once(self, told: Told, problem: Problem, generator: torch.Generator, budget: Budget) -> Attempt:
        guess, softened = problem.random_guess(generator, 0.1), Softened(problem.victim.network)

        def objective(progress: float) -> Tensor:
            softened.leak(self.leak * max(0.0, 1 - progress / LEAKS_UNTIL))
            prior = self.prior * self.last**progress * relative_total_variation(guess.inputs).mean()
            return told.mismatch(softened.network, guess.inputs) + prior

        adam(
            objective,
            guess.unknowns[:1],
            self.iterations,
            budget,
            rate=self.learning_rate,
            schedule=warm_then_cosine,
            sign="none",
            box=(self.lowest, self.highest),
        )
        return Attempt.of(guess, told.mismatch(problem.victim.network, guess.inputs).item())

    def _impossible(self, observed: Observation, reason: str) -> Finding:
        return Finding("bottleneck", observed.observer, False, reason, settings=asdict(self))


attack: type[Attack] = Bottleneck
