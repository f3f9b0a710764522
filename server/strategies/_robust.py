"""What median, trimmed mean and Krum share: a centre of the hospitals' single deltas, few of which may lie."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.errors import RoundError
from common.learning.client_work import Sends, Work
from common.study.checks import positive
from common.sums.exchange import Reveals
from common.sums.update import Sum, Vector
from server.strategies._model import moved
from server.strategy import Contributions, State


@dataclass(frozen=True)
class Robust(ABC):
    """theta <- theta + eta centre(D_1, ..., D_K), D_k = hospital k's own mean delta.

    Hospitals count alike whatever their n_k, as in the papers: a liar would claim many cases.

    learning_rate: share of the hospitals' change that the model takes (eta); 1 takes all of it.
    """

    needs: ClassVar[Reveals] = "each"
    sends: ClassVar[Sends] = "delta"
    averages_companion: ClassVar[bool] = True

    learning_rate: float = 1.0

    def __post_init__(self) -> None:
        positive("strategy", learning_rate=self.learning_rate)

    @abstractmethod
    def centre(self, deltas: NDArray[np.float64]) -> Sum:
        """(P,) float64 from (K, P) float64, hospitals in the order of their names.

        Raises RoundError where K hospitals are too few for the protection that was asked for.
        """

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
        """Go to the centre. Raises RoundError for too few updates, or where the model diverged."""
        return state, moved(parameters, self.learning_rate * self.centre(single_deltas(contributions)))


def single_deltas(contributions: Contributions) -> NDArray[np.float64]:
    """(K, P) float64: every hospital's mean delta, in the order of the hospitals' names.

    Raises RoundError where the aggregation revealed no single updates.
    """
    if not contributions.each:
        raise RoundError("this strategy needs every hospital's single update, and only their sum was revealed.")
    return np.stack([contributions.each[site].mean()[0] for site in sorted(contributions.each)])
