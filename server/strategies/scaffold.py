"""FedAvg that corrects each hospital's drift with control variates (Karimireddy et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from common.learning.client_work import Sends, Work
from common.study.checks import positive
from common.sums.exchange import Reveals
from common.sums.update import Vector
from server.strategies._model import moved
from server.strategy import Contributions, State, Strategy


@dataclass(frozen=True)
class Scaffold:
    """Karimireddy et al. 2020, SCAFFOLD, Algorithm 1 with option II for the hospitals' control variates.

    Hospitals send the two sums n_k dy_k and n_k dc_k. The server's lines 16 and 17, with n_k for weights:

        x <- x + eta_g mean(dy)
        c <- c + n_S/N mean(dc),   n_S the weight of the replies, N that of all hospitals of the study

    For equal sizes n_S/N is the paper's |S|/N; for others it keeps c the n_k-weighted mean of all c_k, which
    is what the correction needs to leave the weighted mean of the gradients unchanged.
    learning_rate: eta_g. State: control, c, (P,).
    """

    needs: ClassVar[Reveals] = "sum"
    sends: ClassVar[Sends] = "delta"

    learning_rate: float = 1.0

    def __post_init__(self) -> None:
        positive("strategy", learning_rate=self.learning_rate)

    def init(self, parameters: Vector) -> State:
        """No correction yet, as every hospital's own control begins at zero."""
        return {"control": np.zeros(parameters.shape)}

    def work(self) -> Work:
        """Local training with control variates."""
        return Work(self.sends, controlled=True)

    def broadcast(self, state: State) -> tuple[Vector, ...]:
        """c, (P,) float32."""
        return (state["control"].astype(np.float32),)

    def step(self, state: State, parameters: Vector, contributions: Contributions) -> tuple[State, Vector]:
        """Both lines above. Raises RoundError where the model diverged."""
        delta, delta_control = contributions.total.mean()
        share = contributions.total.weight / contributions.population_weight
        control = state["control"] + share * delta_control
        return {"control": control}, moved(parameters, self.learning_rate * delta)


strategy: type[Strategy] = Scaffold
