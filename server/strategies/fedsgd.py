"""One server step along the weighted mean of the hospitals' full-batch gradients (McMahan et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from common.learning.client_work import Sends, Work
from common.study.checks import positive
from common.sums.exchange import Reveals
from common.sums.update import Vector
from server.strategies._model import moved
from server.strategy import Contributions, State, Strategy


@dataclass(frozen=True)
class FedSGD:
    """theta <- theta - eta sum_k n_k/N grad L_k(theta): McMahan et al. 2017, section 2, with N over the replies.

    With a client fraction below 1 this is the stochastic version. learning_rate: the server's step, eta.
    """

    needs: ClassVar[Reveals] = "sum"
    sends: ClassVar[Sends] = "gradient"

    learning_rate: float = 0.1

    def __post_init__(self) -> None:
        positive("strategy", learning_rate=self.learning_rate)

    def init(self, parameters: Vector) -> State:
        """Nothing is remembered."""
        return {}

    def work(self) -> Work:
        """The sum of the cases' gradients."""
        return Work(self.sends)

    def broadcast(self, state: State) -> tuple[Vector, ...]:
        """Nothing beside the model."""
        return ()

    def step(self, state: State, parameters: Vector, contributions: Contributions) -> tuple[State, Vector]:
        """Descend along the mean gradient. Raises RoundError where the model diverged."""
        (gradient,) = contributions.total.mean()
        return state, moved(parameters, -self.learning_rate * gradient)


strategy: type[Strategy] = FedSGD
