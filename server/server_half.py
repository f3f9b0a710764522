"""A mechanism's server half in a run: what of a round's sum goes on, and what the checkpoint keeps of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from common.errors import StudyError
from common.privacy.abilities import MechanismAbilities
from common.privacy.mechanism import AtServer, Facts, ServerState
from common.privacy.noise_source import NoiseSource
from common.sums.update import Update
from server.strategy import State

PREFIX = "privacy/"
"""Of what the mechanism keeps, among what others keep."""
TOLD = "training/"
"""Of what comes beside an update, inside a sum; of single updates the names have none."""


@dataclass(frozen=True)
class CentralNoise:
    """mechanism: one that has a server half. noise: a source of draws for a round. facts: of any hospital.

    statistics: names of what comes beside an update. rounding: by how much updates rounded to whole numbers may lie
    farther apart in L2; noise pays for it.
    """

    mechanism: MechanismAbilities
    facts: Facts
    noise: Callable[[int], NoiseSource]
    rounding: float = 0.0
    statistics: tuple[str, ...] = ()
    steers: bool = False

    def clip_norm(self, state: State) -> float:
        """What hospitals clip to in the next round; 0 where the mechanism steers no clip norm."""
        return float(self.mechanism.asked_clip_norm(_own(state))) if self.steers else 0.0

    def release(self, number: int, state: State, total: Update) -> tuple[Update, State]:
        """What the mechanism lets out of the sum, which alone goes on, and what is kept. total.weight: hospitals."""
        means = {name: total.statistics.get(TOLD + name) or total.statistics.get(name) for name in self.statistics}
        told = replace(total, statistics={name: mean for name, mean in means.items() if mean is not None})
        released, kept = self.mechanism.release(
            told, _own(state), AtServer(self.facts, self.noise(number), self.rounding)
        )
        _demand_fitting(total, released, kept)
        return replace(released, statistics={}), {f"{PREFIX}{name}": value for name, value in kept.items()}


def own_state(state: State) -> State:
    """Without what others keep there, all under names with a stroke: what the strategy knows of."""
    return {name: value for name, value in state.items() if "/" not in name}


def _own(state: State) -> ServerState:
    return {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}


def _demand_fitting(total: Update, released: Update, kept: ServerState) -> None:
    """Raise StudyError where a mechanism's server half lets out or keeps what a run cannot go on with."""
    if [np.shape(one) for one in released.vectors] != [np.shape(one) for one in total.vectors]:
        raise StudyError("a mechanism's server half must let out a sum as long as the one it is given.")
    if not all(np.isfinite(one).all() for one in (*released.vectors, *kept.values())) or not released.weight > 0:
        raise StudyError("a mechanism's server half let out or kept numbers that are not finite.")
    wrong = [name for name, value in kept.items() if np.shape(value) != (1,) or "/" in name]
    if wrong:
        raise StudyError(f"a mechanism's server half keeps one number a name, of shape (1,); {wrong[0]!r} is none.")
