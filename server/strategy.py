"""The role of a strategy: what the server does with the sum. Entries live in `server/strategies/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from common.data.names import SiteId
from common.learning.client_work import Sends, Work
from common.learning.schedules import Schedule, rate_in_round
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
    """A frozen dataclass of options; pure, so that it can be replayed and checkpointed."""

    needs: ClassVar[Reveals]
    """"each" where the step needs single updates (median, Krum), else "sum"."""
    sends: ClassVar[Sends]
    """What hospitals send: their "gradient", or the "delta" of local training."""

    def init(self, parameters: Vector) -> State:
        """The state before the first round.

        Args:
            parameters: of the model that training begins from, (P,) float32.

        Returns:
            Arrays by name; {} of a strategy that keeps nothing between rounds.
        """
        ...

    def work(self) -> Work:
        """What hospitals are asked to do."""
        ...

    def broadcast(self, state: State) -> tuple[Vector, ...]:
        """Vectors that go out beside the model; () for most."""
        ...

    def step(self, state: State, parameters: Vector, contributions: Contributions) -> tuple[State, Vector]:
        """One step of the server. Nothing else is read or written.

        Args:
            state: as `init` or the last step left it: arrays by name.
            parameters: of the model that went out, (P,) float32.
            contributions: of the round: the weighted mean of updates, and single ones where they are revealed.

        Returns:
            The next state, and the next model, (P,) float32.
        """
        ...


class StrategyAbilities(Protocol):
    """What a strategy can have beside its role; `common.study.strategy_abilities` asks for it."""

    learning_rate: float
    """Of the server's step: an option, which the study's `server_schedule` changes from round to round."""
    averages_companion: ClassVar[bool]
    """Whether its step is right for a task's companion too, such as a teacher, which stands behind the model in every
    vector of parameters. With a strategy that does not say so such tasks are refused."""


def in_round(strategy: Strategy, schedule: Schedule | None, number: int) -> Strategy:
    """The strategy at its learning rate of round `number`."""
    if schedule is None:
        return strategy
    own: Any = strategy
    return cast(Strategy, replace(own, learning_rate=rate_in_round(own.learning_rate, schedule, number)))
