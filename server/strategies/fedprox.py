"""FedAvg whose hospitals are held near the model they received (Li et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass

from common.learning.client_work import Work
from common.study.checks import non_negative
from server.strategies.fedavg import FedAvg
from server.strategy import Strategy


@dataclass(frozen=True)
class FedProx(FedAvg):
    """Hospitals minimise L_k(w) + mu/2 |w - theta|^2: Li et al. 2020, Algorithm 2 and equation 2.

    proximal_mu: mu; 0 is FedAvg. The server's step is FedAvg's, weighted n_k as McMahan's.
    """

    proximal_mu: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        non_negative("strategy", proximal_mu=self.proximal_mu)

    def work(self) -> Work:
        """Local training with the proximal term."""
        return Work(self.sends, proximal_mu=self.proximal_mu)


strategy: type[Strategy] = FedProx
