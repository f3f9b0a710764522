"""FedAvg whose server steps as Adam (Reddi et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass

from common.sums.update import Sum
from server.strategies._reddi import Forgetting
from server.strategy import Strategy


@dataclass(frozen=True)
class FedAdam(Forgetting):
    """v_t = beta_2 v_{t-1} + (1 - beta_2) D_t^2: Reddi et al. 2021, Algorithm 2. No bias correction, as there."""

    def second_moment(self, v: Sum, squared: Sum) -> Sum:
        """A moving mean."""
        return self.beta_2 * v + (1 - self.beta_2) * squared


strategy: type[Strategy] = FedAdam
