"""What FedAdagrad, FedAdam and FedYogi share: Reddi et al. 2021, Adaptive Federated Optimization, Algorithm 2."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from common.learning.client_work import Sends, Work
from common.study.checks import positive
from common.sums.exchange import Reveals
from common.sums.update import Sum, Vector
from server.strategies._checks import decay
from server.strategies._model import moved
from server.strategy import Contributions, State


@dataclass(frozen=True)
class Adaptive(ABC):
    """Algorithm 2, its lines as they stand there (it numbers no equations), t counting rounds:

        D_t = mean of the hospitals' deltas                  here weighted n_k, as the paper's experiments
        m_t = beta_1 m_{t-1} + (1 - beta_1) D_t              m_{-1} = 0
        v_t = one of three, from v_{t-1} and D_t^2           v_{-1} = tau^2, the least the paper allows
        x_{t+1} = x_t + eta m_t / (sqrt(v_t) + tau)          all by coordinate

    D_t points downhill (it is minus a pseudo-gradient), hence the plus. There is no bias correction.
    learning_rate: eta. State: m and v, (P,) each.
    """

    needs: ClassVar[Reveals] = "sum"
    sends: ClassVar[Sends] = "delta"

    learning_rate: float = 0.01
    beta_1: float = 0.9
    tau: float = 1e-3

    def __post_init__(self) -> None:
        positive("strategy", learning_rate=self.learning_rate, tau=self.tau)
        decay(beta_1=self.beta_1)

    @abstractmethod
    def second_moment(self, v: Sum, squared: Sum) -> Sum:
        """v_t, (P,) float64, from v_{t-1} and D_t^2."""

    def init(self, parameters: Vector) -> State:
        """m_{-1} and v_{-1}."""
        return {"m": np.zeros(parameters.shape), "v": np.full(parameters.shape, self.tau**2)}

    def work(self) -> Work:
        """Local training."""
        return Work(self.sends)

    def broadcast(self, state: State) -> tuple[Vector, ...]:
        """Nothing beside the model."""
        return ()

    def step(self, state: State, parameters: Vector, contributions: Contributions) -> tuple[State, Vector]:
        """One round of Algorithm 2. Raises RoundError where the model diverged."""
        (delta,) = contributions.total.mean()
        m = self.beta_1 * state["m"] + (1 - self.beta_1) * delta
        v = self.second_moment(state["v"], delta**2)
        return {"m": m, "v": v}, moved(parameters, self.learning_rate * m / (np.sqrt(v) + self.tau))


@dataclass(frozen=True)
class Forgetting(Adaptive):
    """An Adaptive whose second moment forgets at rate beta_2."""

    beta_2: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        decay(beta_2=self.beta_2)
