"""The weighted mean of the hospitals' locally trained models (McMahan et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from common.learning.client_work import Sends, Work
from common.study.checks import positive
from common.sums.exchange import Reveals
from common.sums.update import Vector
from server.strategies._model import moved_by
from server.strategy import Contributions, State, Strategy


@dataclass(frozen=True)
class FedAvg:
    """theta <- theta + eta sum_k n_k/m_t (theta_k - theta), m_t = sum of n_k over the hospitals that replied.

    At learning_rate (eta) 1 this is McMahan et al. 2017, Algorithm 1, with its erratum's m_t; other values
    are the server step of Reddi et al. 2021, Algorithm 1.

    learning_rate: share of the hospitals' change that the model takes (eta); 1 takes all of it.
    """

    needs: ClassVar[Reveals] = "sum"
    sends: ClassVar[Sends] = "delta"
    averages_companion: ClassVar[bool] = True

    learning_rate: float = 1.0

    def __post_init__(self) -> None:
        positive("strategy", learning_rate=self.learning_rate)

    def init(self, parameters: Vector) -> State:
        """Nothing is remembered."""
        return {}

    def work(self) -> Work:
        """Local training."""
        return Work(self.sends)

    def broadcast(self, state: State) -> tuple[Vector, ...]:
        """Nothing beside the model."""
        return ()

    def step(self, state: State, parameters: Vector, contributions: Contributions) -> tuple[State, Vector]:
        """Go along the mean delta. Raises RoundError where the model diverged."""
        total = contributions.total
        return state, moved_by(parameters, lambda part: self.learning_rate * total.mean(part)[0])


strategy: type[Strategy] = FedAvg
