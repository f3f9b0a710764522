"""The local steps of one guess, simulated, and how far their change is from the captured one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from common.learning.client_work import Training
from experiments.attacks.inversion.distances import relative_squared_distance
from experiments.attacks.inversion.problem import Guess, InversionProblem


@dataclass(frozen=True)
class Steps:
    """problem.captured: the change they are to make. batches: indices of the inputs of every step."""

    problem: InversionProblem
    guess: Guess
    batches: Sequence[NDArray[np.int64]]
    training: Training
    proximal_mu: float

    def change(self, softness: float = 0.0) -> tuple[Tensor, ...]:
        """What the steps change, differentiable by the guess. softness: as `steps_of` takes it."""
        guess, victim = self.guess, self.problem.victim
        return victim.change(guess.inputs, guess.truth, self.batches, self.training, self.proximal_mu, softness)

    def mismatch(self, softness: float = 0.0) -> Tensor:
        """|change - captured|^2 / |captured|^2."""
        return relative_squared_distance(self.change(softness), self.problem.captured)
