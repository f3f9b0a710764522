"""One server step along the weighted mean of the hospitals' full-batch gradients (McMahan et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from common.learning.client_work import Sends, Work
from common.study.checks import one_of, positive
from common.sums.exchange import Reveals
from common.sums.update import Sum, Vector
from server.strategies._checks import decay
from server.strategies._model import moved, moved_by
from server.strategy import Contributions, State, Strategy

LEAST_SPREAD = 1e-8
"""Added to what Adam divides by, as torch has it."""


@dataclass(frozen=True)
class FedSGD:
    """theta <- theta - eta sum_k n_k/N grad L_k(theta): McMahan et al. 2017, section 2, with N over the replies.

    With a client fraction below 1 this is the stochastic version. learning_rate: the server's step, eta.
    optimiser: "sgd", or "adam", whose step follows mean gradients of all rounds (Kingma and Ba 2015, algorithm 1):
    what networks of tokens need. It looks at nothing but their mean, so that noise on that covers it. beta_1, beta_2:
    Adam's; for how many rounds means of gradients and of their squares last.
    """

    needs: ClassVar[Reveals] = "sum"
    sends: ClassVar[Sends] = "gradient"

    learning_rate: float = 0.1
    optimiser: Literal["sgd", "adam"] = "sgd"
    beta_1: float = 0.9
    beta_2: float = 0.99

    def __post_init__(self) -> None:
        positive("strategy", learning_rate=self.learning_rate)
        one_of("strategy", ("sgd", "adam"), optimiser=self.optimiser)
        decay(beta_1=self.beta_1, beta_2=self.beta_2)

    def init(self, parameters: Vector) -> State:
        """Adam remembers two means, and how many steps they are of."""
        if self.optimiser == "sgd":
            return {}
        return {"m": np.zeros(parameters.shape), "v": np.zeros(parameters.shape), "steps": np.zeros(1)}

    def work(self) -> Work:
        """The sum of the cases' gradients."""
        return Work(self.sends)

    def broadcast(self, state: State) -> tuple[Vector, ...]:
        """Nothing beside the model."""
        return ()

    def step(self, state: State, parameters: Vector, contributions: Contributions) -> tuple[State, Vector]:
        """Descend along the mean gradient. Raises RoundError where the model diverged."""
        total = contributions.total
        if self.optimiser == "sgd":
            return state, moved_by(parameters, lambda part: -self.learning_rate * total.mean(part)[0])
        after, direction = self._adam(state, total.mean()[0])
        return after, moved(parameters, -self.learning_rate * direction)

    def _adam(self, state: State, gradient: Sum) -> tuple[State, Sum]:
        m = self.beta_1 * state["m"] + (1 - self.beta_1) * gradient
        v = self.beta_2 * state["v"] + (1 - self.beta_2) * gradient**2
        steps = state["steps"] + 1
        mean, square = m / (1 - self.beta_1**steps), v / (1 - self.beta_2**steps)
        return {"m": m, "v": v, "steps": steps}, mean / (np.sqrt(square) + LEAST_SPREAD)


strategy: type[Strategy] = FedSGD
