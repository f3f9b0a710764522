"""What crosses the wire round by round tells whom a hospital trained on, without any shadow model.

Two signs of a member. Its loss falls where its own hospital has trained: the model after a hospital's local steps,
which a server makes from a single update, has it by heart more than the mean of all hospitals' (the losses over
rounds of Zari, Xu and Neglia 2021, Efficient passive membership inference attack in federated learning). And its
gradient points where the update points: gradients of unlike cases of large networks are nearly orthogonal, so that
what is left of its own can be told (the cosine of Li, Li and Ribeiro 2022, Effective passive membership inference
attacks in federated learning against overparameterized models).

Who sees only sums, or only models, does the same with those, and then knows no hospital from another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np

from common.data.cases import Cases, SiteId
from common.study.catalogue import STRATEGIES
from common.sums.update import Vector
from experiments.attacks.membership.lira import log_odds
from experiments.attacks.membership.target import Floats, Target, standardised
from experiments.evidence.budget import Budget
from experiments.observation import Observation

LOSSES_SOURCE = "Zari et al. 2021, Efficient passive membership inference attack in federated learning"
COSINE_SOURCE = "Li et al. 2022, Effective passive membership inference attacks in federated learning (ICLR)"
ROUNDS = 8

T = TypeVar("T")


@dataclass(frozen=True)
class Move:
    """Where a round's training went from: `parameters` (P,) and `descent` (P,), the gradient it followed, scaled."""

    round: int
    parameters: Vector
    descent: Floats


def moves_of(observed: Observation, site: SiteId) -> tuple[Move, ...]:
    """By round, the finest that the observer reads: the hospital's own update, a sum, or the change of the model."""
    sign = 1.0 if STRATEGIES.load(observed.study.strategy.name).sends == "gradient" else -1.0
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


def gradient_cosines(observed: Observation, site: SiteId, candidates: Cases, budget: Budget) -> Floats | None:
    """(N,) mean over rounds, the latest first while time lasts, of the standardised cosine; None without a move."""
    target = Target.of(observed)
    found: list[Floats] = []
    for move in spread(moves_of(observed, site), ROUNDS):
        if found and budget.left == 0:
            break
        found.append(standardised(target.cosines(move.parameters, candidates, move.descent)))
    return np.mean(found, axis=0) if found else None


def losses_over_rounds(observed: Observation, site: SiteId, candidates: Cases, budget: Budget) -> Floats:
    """(N,) mean over rounds, the latest first while time lasts, of the standardised log-odds (see lira.py).

    Under the hospital's own models after local training, where single updates are seen; else under those sent around.
    """
    target = Target.of(observed)
    sent = tuple(observed.models[number] for number in sorted(observed.models))
    found: list[Floats] = []
    for model in spread(_local_models(observed, site) or sent, ROUNDS):
        if found and budget.left == 0:
            break
        found.append(standardised(log_odds(target.losses(model, candidates))))
    return np.asarray(np.mean(found, axis=0))


def _local_models(observed: Observation, site: SiteId) -> tuple[Vector, ...]:
    """After the local steps of each round; nothing where gradients were sent."""
    if STRATEGIES.load(observed.study.strategy.name).sends == "gradient":
        return ()
    own = [one for one in observed.singles if one.site == site]
    changes = [one.update.vectors[0].astype(np.float64) / max(one.update.weight, 1.0) for one in own]
    return tuple((one.order.parameters + change).astype(np.float32) for one, change in zip(own, changes, strict=True))


def spread(rounds: Sequence[T], most: int) -> tuple[T, ...]:
    """At most so many, evenly spread, the latest first."""
    if not rounds:
        return ()
    places = np.unique(np.linspace(0, len(rounds) - 1, min(most, len(rounds))).round().astype(int))
    return tuple(rounds[place] for place in places[::-1])
