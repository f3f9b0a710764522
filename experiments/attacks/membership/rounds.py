"""What crosses the wire round by round: where a round's training went, and the models on its way.

Who sees only sums, or only models, has these of all hospitals together, and then knows no hospital from another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np

from common.data.cases import SiteId
from common.study.catalogue import STRATEGIES
from common.sums.update import Vector
from experiments.evidence.target_model import Floats
from experiments.observation import Observation, Single

T = TypeVar("T")


@dataclass(frozen=True)
class Move:
    """Where a round's training went from: `parameters` (P,) and `descent` (P,), the gradient it followed, scaled."""

    round: int
    parameters: Vector
    descent: Floats


def moves_of(observed: Observation, site: SiteId) -> tuple[Move, ...]:
    """By round, the finest that the observer reads: the hospital's own update, a sum, or the change of the model."""
    sign = 1.0 if sends_gradients(observed) else -1.0
    own = [one for one in observed.singles if one.site == site]
    if own:
        return tuple(
            Move(one.round, one.order.parameters, sign * one.update.vectors[0].astype(np.float64)) for one in own
        )
    if observed.sums:
        return tuple(
            Move(one.round, one.parameters, sign * one.update.vectors[0].astype(np.float64)) for one in observed.sums
        )
    rounds = sorted(observed.models)
    models = {number: observed.models[number].astype(np.float64) for number in rounds}
    return tuple(
        Move(first, observed.models[first], models[first] - models[second]) for first, second in pairwise(rounds)
    )


def local_models(observed: Observation, site: SiteId) -> dict[int, Vector]:
    """After the local steps of each round, by round; nothing where gradients were sent."""
    if sends_gradients(observed):
        return {}
    return {one.round: _after(one) for one in observed.singles if one.site == site}


def _after(single: Single) -> Vector:
    change = single.update.vectors[0].astype(np.float64) / max(single.update.weight, 1.0)
    start = single.order.parameters
    return (start + change[: len(start)]).astype(np.float32)


def sends_gradients(observed: Observation) -> bool:
    """Whether an update is a gradient, not a change of the model."""
    return bool(STRATEGIES.load(observed.study.strategy.name).sends == "gradient")


def read_of_rounds(observed: Observation) -> str:
    """What is read round by round, in words."""
    if observed.singles:
        return "the models of all rounds and every hospital's single updates"
    if observed.sums:
        return "the models of all rounds and sums of all hospitals' updates"
    return "the models of all rounds"


def spread(rounds: Sequence[T], most: int) -> tuple[T, ...]:
    """At most so many, evenly spread, the latest first."""
    if not rounds:
        return ()
    places = np.unique(np.linspace(0, len(rounds) - 1, min(most, len(rounds))).round().astype(int))
    return tuple(rounds[place] for place in places[::-1])
