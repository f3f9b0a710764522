"""Updates worth attacking, as gradients: what a single hospital sent, or the sum of several."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId
from common.learning.abilities import no_one_gradient
from common.learning.client_work import CURVATURE, REACH, Sends
from common.study.catalogue import STRATEGIES
from common.study.study import Study
from common.sums.update import Update, Vector
from experiments.observation import Observation

SMALLEST_GUESS, LARGEST_GUESS, GUESSES = 1e-6, 1e4, 200_000
"""Of a hospital's mean loss."""


@dataclass(frozen=True)
class Captured:
    """One update an adversary read.

    cases: how many it was computed from, as it says. parameters: (P,) the model it was computed at. sent: (P,)
    float64, the mean gradient of the cases, or the mean change that local training made, as `sends` says.
    """

    round: int
    sites: tuple[SiteId, ...]
    cases: int
    parameters: Vector
    sends: Sends
    sent: NDArray[np.float64]


def captured_updates(observed: Observation) -> list[Captured]:
    """Single updates, those of the fewest cases first and then the earliest; sums only where there is no single."""
    study = observed.study
    sends = STRATEGIES.load(study.strategy.name).sends
    if observed.singles:
        found = [
            _captured(one.round, (one.site,), one.order.parameters, sends, one.update, study)
            for one in observed.singles
        ]
    else:
        found = [_captured(one.round, one.sites, one.parameters, sends, one.update, study) for one in observed.sums]
    usable = [one for one in found if np.isfinite(one.sent).all() and np.any(one.sent)]
    return sorted(usable, key=lambda one: (one.cases, one.round, one.sites))


def _captured(
    number: int, sites: tuple[SiteId, ...], parameters: Vector, sends: Sends, update: Update, study: Study
) -> Captured:
    weight = max(update.weight, 1.0)
    sent = update.vectors[0].astype(np.float64) / weight
    if len(sites) == 1:
        sent = sent / _factor(update, sent, study, number)
    return Captured(number, sites, max(1, round(weight)), parameters, sends, sent)


def _factor(update: Update, sent: NDArray[np.float64], study: Study, number: int) -> float:
    """By what FedNova or q-FedAvg weighed a hospital's change: what it tells beside it says it, and so anybody knows.

    Of q-FedAvg F^q, from h_k = q F^(-q-1) |sent|^2 / rate + F^q: of its two roots the one nearer to the loss told.
    """
    work = STRATEGIES.build(study.strategy).work()
    told = {name: update.statistics[name].value for name in (*work.beside, "loss") if name in update.statistics}
    if work.normalised and told.get(REACH):
        return 1 / told[REACH]
    if not work.fairness or CURVATURE not in told:
        return 1.0
    q, square = work.fairness, float(sent @ sent) / study.training.in_round(number).learning_rate
    losses = np.geomspace(SMALLEST_GUESS, LARGEST_GUESS, GUESSES)
    beyond = q * losses ** (-q - 1) * square + losses**q >= told[CURVATURE]
    roots = losses[np.flatnonzero(beyond[1:] != beyond[:-1])]
    if not len(roots):
        return 1.0
    return float(roots[np.abs(np.log(roots / max(told.get("loss", 1.0), SMALLEST_GUESS))).argmin()] ** q)


def local_steps(study: Study, cases: int) -> int:
    """Steps of local training that lie behind one change."""
    training = study.training
    if training.steps is not None:
        return training.steps
    size = cases if training.batch_size == "full" else min(training.batch_size, cases)
    return training.epochs * -(-cases // size)


def as_gradient(captured: Captured, study: Study) -> NDArray[np.float64]:
    """(P,) the mean gradient of the cases: exact where one was sent, or one step of plain descent was taken.

    After several steps it is the mean of gradients along the way, close to one gradient while the model has moved
    little (Geiping et al. 2020, section 6). Of an adaptive optimiser only the direction of every step is known:
    nearly signs, of the gradient and its weight decay for Adam, of the gradient alone for AdamW.
    """
    if captured.sends == "gradient":
        return captured.sent
    training = study.training.in_round(captured.round)
    steps = local_steps(study, captured.cases)
    momentum = training.momentum
    pushes = sum((1 - momentum**step) / (1 - momentum) for step in range(1, steps + 1))
    gradient = captured.sent / (-training.learning_rate * pushes)
    decay = 0.0 if training.optimiser == "adam" else training.weight_decay
    return np.asarray(gradient - decay * captured.parameters)


def obstacle(observed: Observation, captured: list[Captured]) -> str:
    """Why nothing can be read from a layer's gradient, which asks for no case's own loss; empty where it may be."""
    return no_one_gradient(observed.study.build_task()) or ("" if captured else what_is_seen_instead(observed))


def what_is_seen_instead(observed: Observation) -> str:
    """Words for an observer that reads no update."""
    if observed.opaque:
        kinds = ", ".join(sorted({one.leg for one in observed.opaque}))
        return f"sees only {len(observed.opaque)} messages that it cannot read (legs: {kinds})"
    if observed.observer == "outsider":
        return "sees only the final model"
    return "sees only models, no update of any hospital"
