"""FedAvg that gives more weight to hospitals whose loss is larger, for fairer scores (Li et al. 2020, q-FFL)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from common.learning.client_work import CURVATURE, Work
from common.study.checks import non_negative
from common.sums.update import Vector
from server.strategies._beside import mean_beside
from server.strategies._model import moved
from server.strategies.fedavg import FedAvg
from server.strategy import Contributions, State, Strategy


@dataclass(frozen=True)
class QFedAvg(FedAvg):
    """Li et al. 2020, "Fair resource allocation in federated learning", algorithm 2, for sum_k n_k/n F_k^(q+1)/(q+1):

        x <- x + eta sum_k n_k F_k^q D_k / sum_k n_k h_k / L,   h_k / L = F_k^q + q F_k^(q-1) L |D_k|^2

    F_k is hospital k's mean training loss of the model that it received, D_k its change, L = 1 / its learning rate.
    The paper draws hospitals by n_k and then counts them alike; here all are weighed n_k. Hospitals send
    n_k F_k^q D_k and, as a mean weighed n_k, h_k / L: two sums. q: 0 is FedAvg; the larger, the more alike the
    hospitals' losses become. learning_rate: eta, 1 in the paper.
    """

    averages_companion: ClassVar[bool] = False
    """Changes are not averaged, and a teacher's would count in |D_k|."""

    q: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        non_negative("strategy", q=self.q)

    def work(self) -> Work:
        """Local training, its change weighed by the loss before it."""
        return Work(self.sends, fairness=self.q)

    def step(self, state: State, parameters: Vector, contributions: Contributions) -> tuple[State, Vector]:
        """The equation above. Raises RoundError where the model diverged."""
        (change,) = contributions.total.mean()
        return state, moved(parameters, self.learning_rate * change / mean_beside(contributions, CURVATURE))


strategy: type[Strategy] = QFedAvg
