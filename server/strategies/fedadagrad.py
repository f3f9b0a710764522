"""FedAvg whose server steps as Adagrad (Reddi et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass

from common.sums.update import Sum
from server.strategies._reddi import Adaptive
from server.strategy import Strategy


@dataclass(frozen=True)
class FedAdagrad(Adaptive):
    """v_t = v_{t-1} + D_t^2: Reddi et al. 2021, Algorithm 2. beta_1 is 0, as in the paper's experiments."""

    learning_rate: float = 0.1
    beta_1: float = 0.0

    def second_moment(self, v: Sum, squared: Sum) -> Sum:
        """Nothing is forgotten."""
        return v + squared


strategy: type[Strategy] = FedAdagrad
