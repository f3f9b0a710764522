"""A strategy of your own: what the server makes of the sum."""

from dataclasses import dataclass

import numpy as np

from common.study.checks import positive
from common.sums import Vector
from server.strategies.fedavg import FedAvg
from server.strategy import Contributions, State, Strategy


@dataclass(frozen=True)
class Mine(FedAvg):
    """momentum: share of the last step that is taken again. learning_rate: of the step.

    It extends FedAvg, whose hospitals send what local training changed. All that is remembered between rounds stands
    in the state, by name, in float64, so that a run can be resumed.
    """

    learning_rate: float = 1.0
    momentum: float = 0.5

    def __post_init__(self) -> None:
        positive("strategy", learning_rate=self.learning_rate)

    def init(self, parameters: Vector) -> State:
        """No step was taken yet."""
        return {"step": np.zeros(len(parameters))}

    def step(self, state: State, parameters: Vector, contributions: Contributions) -> tuple[State, Vector]:
        """The next state and the next model, from these arguments alone."""
        (change,) = contributions.total.mean()
        step = self.momentum * state["step"] + change
        return {"step": step}, np.asarray(parameters + self.learning_rate * step, dtype=np.float32)


strategy: type[Strategy] = Mine
