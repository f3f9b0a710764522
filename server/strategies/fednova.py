"""FedAvg for hospitals that take unequal numbers of steps: changes a step count alike (Wang et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from common.learning.client_work import REACH, Work
from common.study.checks import non_negative
from common.sums.update import Vector
from server.strategies._beside import mean_beside
from server.strategies._model import moved
from server.strategies.fedavg import FedAvg
from server.strategy import Contributions, State, Strategy


@dataclass(frozen=True)
class FedNova(FedAvg):
    """Wang et al. 2020, "Tackling the objective inconsistency problem", section 5, FedNova with its default tau_eff:

        x <- x + eta tau_eff sum_k p_k D_k / |a_k|_1,   tau_eff = sum_k p_k |a_k|_1,   p_k = n_k / n

    D_k is hospital k's change and |a_k|_1 how many gradients it is the sum of: its steps, more of them with momentum,
    fewer with a proximal term. Averaging changes as they are favours whoever takes more steps. Hospitals send
    n_k D_k / |a_k|_1 and, as a mean weighed n_k, |a_k|_1: two sums. With equal steps it is FedAvg, or FedProx.
    Local training must be 'sgd'. proximal_mu: of FedProx' term, 0 for none. learning_rate: eta, share of the change
    that the model takes.
    """

    averages_companion: ClassVar[bool] = False
    """Changes are not averaged: a teacher would be moved beyond all of the hospitals' teachers."""

    proximal_mu: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        non_negative("strategy", proximal_mu=self.proximal_mu)

    def work(self) -> Work:
        """Local training, its change normalised."""
        return Work(self.sends, proximal_mu=self.proximal_mu, normalised=True)

    def step(self, state: State, parameters: Vector, contributions: Contributions) -> tuple[State, Vector]:
        """The equation above. Raises RoundError where the model diverged."""
        (direction,) = contributions.total.mean()
        reach = mean_beside(contributions, REACH)
        return state, moved(parameters, self.learning_rate * reach * direction)


strategy: type[Strategy] = FedNova
