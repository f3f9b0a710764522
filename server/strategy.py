"""The role of a strategy: what the server does with the sum. Entries live in `server/strategies/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from common.data.names import SiteId
from common.learning.work import Sends, Work
from common.sums.exchange import Reveals
from common.sums.update import Update, Vector

State = Mapping[str, NDArray[np.float64]]
"""All a strategy remembers between rounds, by name, so that a checkpoint needs to know nothing about it."""


@dataclass(frozen=True)
class Contributions:
    """One round's result: the sum over the hospitals that replied, and single updates where they are revealed.

    population_weight: total weight of all hospitals of the study, selected or not (SCAFFOLD needs it).
    """

    total: Update
    each: Mapping[SiteId, Update] | None
    population_weight: float


class Strategy(Protocol):
    """A frozen dataclass of options; pure, so that it can be replayed and checkpointed.

    A task's companion, such as a teacher, stands behind the model in every vector of parameters. A strategy whose
    step is right for both says so: `averages_companion: ClassVar[bool] = True`. With others such tasks are refused.
    """

    needs: ClassVar[Reveals]
    """"each" where the step needs single updates (median, Krum), else "sum"."""
    sends: ClassVar[Sends]
    """What hospitals send: their "gradient", or the "delta" of local training."""

    def init(self, parameters: Vector) -> State:
        """The state before the first round."""
        ...

    def work(self) -> Work:
        """What hospitals are asked to do."""
        ...

    def broadcast(self, state: State) -> tuple[Vector, ...]:
        """Vectors that go out beside the model; () for most."""
        ...

    def step(self, state: State, parameters: Vector, contributions: Contributions) -> tuple[State, Vector]:
        """The next state and the next model, (P,) float32. Nothing else is read or written."""
        ...
