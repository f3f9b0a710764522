"""A coordinator that cheats, played: it sends hospitals' own code models made to copy cases into the gradient.

The hospitals are opened to play them, as they would answer; the coordinator uses nothing but what they answer. Where
the study's network cannot carry an imprint, the coordinator sends a study of its own that nobody approved: another
network, no privacy and no protected sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from common.data.cases import SiteId
from common.errors import StudyError
from common.learning.abilities import can, no_one_gradient
from common.learning.parameters import new_network
from common.learning.work import Training, Work
from common.seeding import torch_generator
from common.study.catalogue import STRATEGIES, TASKS
from common.study.options import Entry
from common.study.study import Study
from common.sums.exchange import Payload
from common.wire.orders import Order, to_payload
from experiments.attack import Reconstruction
from experiments.attacks.inversion.imprint import Held, blur, carries, closer, held, imprinted, wide_thresholds
from experiments.audit.refusals import refusals
from experiments.evidence.recomputed_updates import Orders, error_bound, own_updates
from experiments.observation import Observation

BINS = 256
"""Units of the first layer, where the network is the coordinator's own."""
LOWEST, HIGHEST = -4.0, 4.0
"""Of an input's mean, as the coordinator begins; inputs are scaled."""
ORDERS = 3
"""One after the other, each with thresholds closer to the cases."""
BLUR = 0.05
"""Noise on the imprint, of its weights' norm: rows are then less alike than a hospital's check asks for."""
MOST_FOUND = 16
"""Inputs that are scored; an imprint finds more."""
NO_CARRIER = (
    "no network of this study's task has two linear layers before all others, which an imprint needs; other models "
    "that a cheating coordinator may send were not tried"
)


@dataclass(frozen=True)
class Cheat:
    """One way to cheat. blurred: the imprint, by noise. own_study: whether the study is the coordinator's own.

    back: what the hospitals' answers held, had they not looked at what they were sent. refused: why a hospital
    refuses, by what it was asked and what it checks (see `refusals`), "" where it answers. study: as it was sent.
    work: what its hospitals are asked to do in a round.
    """

    blurred: bool
    own_study: bool
    study: Study
    back: Reconstruction
    refused: dict[str, str]

    @property
    def work(self) -> Work:
        """As the study's strategy says; any other a hospital refuses."""
        return work_of(self.study)


def work_of(study: Study) -> Work:
    """What its strategy asks of hospitals in a round."""
    work: Work = STRATEGIES.build(study.strategy).work()
    return work


def cheats(observed: Observation, orders: Orders, sites: Sequence[SiteId]) -> tuple[Cheat, ...]:
    """Both ways, against all of `sites` in one sum, or one of them. Raises StudyError where none can be played."""
    study, own_study = carrier_of(observed)
    return tuple(_cheat(observed, study, own_study, orders, tuple(sites), blurred) for blurred in (False, True))


def carrier_of(observed: Observation) -> tuple[Study, bool]:
    """A study whose network can carry an imprint, and whether it is another than that of the run.

    Raises StudyError where there is none.
    """
    study, task = observed.study, observed.study.build_task()
    if reason := no_one_gradient(task):
        raise StudyError(reason)
    if carries(new_network(task, observed.shape, study.seed, study.training), observed.shape.inputs):
        return study, False
    if not (can(task, "label_evidence") and "network" in TASKS.options(study.task.name)):
        raise StudyError(NO_CARRIER)
    network = {"name": "mlp", "hidden": [BINS]}
    own_task = Entry(study.task.name, {**study.task.options, "network": network})
    training = Training(batch_size=study.training.batch_size)
    plain, strategy = Entry("plain"), Entry("fedsgd")
    rounds = max(study.rounds, 1 + ORDERS)
    own = replace(study, task=own_task, training=training, aggregation=plain, strategy=strategy, privacy=None)
    return replace(own, rounds=rounds), True


def _cheat(
    observed: Observation, study: Study, own_study: bool, orders: Orders, sites: tuple[SiteId, ...], blurred: bool
) -> Cheat:
    network = new_network(study.build_task(), observed.shape, study.seed, study.training)
    cases = sum(_cases_of(study, observed.cases[site]) for site in sites)
    thresholds, order, seen = wide_thresholds(network, LOWEST, HIGHEST), None, None
    for number in _rounds(study):
        thresholds = thresholds if seen is None else closer(thresholds, seen, cases)
        order = _order(study, number, _sent(network, study, number, thresholds, blurred))
        seen = held(network, *_answers(study, order, orders, sites))
    assert order is not None and seen is not None
    back = Reconstruction(order.round, sites, _chosen(seen, observed.shape.inputs))
    return Cheat(blurred, own_study, study, back, refusals(observed.study, order, sites[0]))


def _rounds(study: Study) -> list[int]:
    """Of the orders: later than the first, whose model is known, and none that a hospital refuses as too late.

    A study of one round has no later one, and a hospital is asked for its second in vain.
    """
    return [min(number, max(2, study.rounds)) for number in range(2, 2 + ORDERS)]


def _order(study: Study, number: int, parameters: NDArray[np.float32]) -> Order:
    work = work_of(study)
    return Order(study.json, number, parameters, work, np.zeros_like(parameters) if work.controlled else None)


def _cases_of(study: Study, cases: int) -> int:
    """How many of a hospital's are behind one answer."""
    size = study.training.batch_size
    return cases if size == "full" or work_of(study).sends == "delta" else min(size, cases)


def _sent(
    network: nn.Module, study: Study, number: int, thresholds: NDArray[np.float64], blurred: bool
) -> NDArray[np.float32]:
    parameters = imprinted(network, thresholds)
    if not blurred:
        return parameters
    return blur(network, BLUR, torch_generator(study.seed, "audit", "blur", number))


def _answers(
    study: Study, order: Order, orders: Orders, sites: Sequence[SiteId]
) -> tuple[NDArray[np.float64], float]:
    """(P,) the sum of what hospitals that check nothing answer, rounded and noised; and the rounding's error."""
    forged = {(order.round, site): _forged(order, orders, site) for site in sites}
    updates = own_updates(study, forged, sites, [order.round])
    total = np.asarray(np.sum([one.vectors[0].astype(np.float64) for one in updates.values()], axis=0))
    request, count = next(iter(forged.values())), len(sites)
    return total, error_bound(study, request, count, count, float(np.abs(total).max()))


def _forged(order: Order, orders: Orders, site: SiteId) -> Payload:
    """The order in the place of a recorded one, which holds what hospitals agreed on for their sum."""
    real = next(payload for (_, asked), payload in orders.items() if asked == site)
    false = to_payload(order)
    return replace(false, numbers={**real.numbers, **false.numbers}, words={**real.words, **false.words})


def _chosen(seen: Held, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """(N, ...) at most MOST_FOUND of them, evenly over the thresholds; one of zeros where there is none."""
    if not len(seen.bins):
        return np.zeros((1, *shape), np.float32)
    rows = np.unique(np.linspace(0, len(seen.bins) - 1, min(MOST_FOUND, len(seen.bins))).astype(int))
    return np.asarray(seen.inputs[rows].reshape(-1, *shape), np.float32)
