"""FedAvg whose server steps as Yogi, which forgets large steps slowly (Reddi et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.sums.update import Sum
from server.strategies._reddi import Forgetting
from server.strategy import Strategy


@dataclass(frozen=True)
class FedYogi(Forgetting):
    """v_t = v_{t-1} - (1 - beta_2) D_t^2 sign(v_{t-1} - D_t^2): Reddi et al. 2021, Algorithm 2."""

    def second_moment(self, v: Sum, squared: Sum) -> Sum:
        """Moves by at most (1 - beta_2) D_t^2, so it stays above zero: it only falls where v is the larger."""
        return v - (1 - self.beta_2) * squared * np.sign(v - squared)


strategy: type[Strategy] = FedYogi
