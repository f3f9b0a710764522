"""FedAvg with momentum on the server (Hsu et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.sums.update import Vector
from server.strategies._checks import decay
from server.strategies._model import moved
from server.strategies.fedavg import FedAvg
from server.strategy import Contributions, State, Strategy


@dataclass(frozen=True)
class FedAvgM(FedAvg):
    """v <- beta v + D; theta <- theta + eta v, with D the weighted mean delta: Hsu et al. 2019, FedAvgM.

    This is SGD with momentum on the pseudo-gradient -D. momentum: beta; 0 is FedAvg. State: velocity, v, (P,).
    """

    momentum: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        decay(momentum=self.momentum)

    def init(self, parameters: Vector) -> State:
        """At rest."""
        return {"velocity": np.zeros(parameters.shape)}

    def step(self, state: State, parameters: Vector, contributions: Contributions) -> tuple[State, Vector]:
        """Go along the velocity. Raises RoundError where the model diverged."""
        (delta,) = contributions.total.mean()
        velocity = self.momentum * state["velocity"] + delta
        return {"velocity": velocity}, moved(parameters, self.learning_rate * velocity)


strategy: type[Strategy] = FedAvgM
