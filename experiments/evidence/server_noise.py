"""The noise that a server added to its sums: its own code run again, and held against the models that it sent out."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from client.hospital import Hospital
from common.errors import WardroundError
from common.learning.parameters import Layout
from common.privacy.facts import mechanism_of
from common.privacy.mechanisms.hospital import Hospital as HospitalLevel
from common.privacy.noise import SeededNoise
from common.seeding import generator
from common.study.catalogue import STRATEGIES
from common.sums.update import Update, Vector
from common.wire.orders import Order, from_payload
from experiments.evidence.clean_sums import blocks_of
from experiments.evidence.ground_truth import facts_of_hospital, hospital_of
from experiments.evidence.planted import Fault
from experiments.evidence.promised_noise import rounding, server_deviation
from experiments.evidence.recomputed_updates import Orders
from experiments.evidence.replayed import HONEST, replayed
from experiments.noisy_sums import NoisySum, SentNoise
from experiments.observation import Observation, Summed
from server.central_noise import CLIP_NORM, CentralNoise, own_state
from server.strategy import Contributions, State, Strategy, in_round

TIMES = (1.0, 100.0, 10_000.0)
"""Of the learning rate."""


def server_noise(seen: Observation, orders: Orders, planted: Fault | None, repeat: int = 0) -> SentNoise:
    """Of every round. planted: of a server in the recorded one's place; repeat: which of its runs."""
    fault = planted or HONEST
    site = min(site for _, site in orders)
    server, hospital = _Server(seen, hospital_of(seen.study, site), fault, repeat), hospital_of(seen.study, site)
    sums, off = list[NoisySum](), 0.0
    state = server.strategy.init(seen.models[min(seen.models)])
    for one in sorted(seen.sums, key=lambda one: one.round):
        clip_norm = seen.orders[one.round].clip_norm
        deviation = server_deviation(hospital, one.parameters.size, clip_norm) or 1.0
        released = server.release(one, clip_norm)
        state, model = server.step(state, one, released)
        sums.append(
            NoisySum(
                one.round,
                one.sites,
                0,
                np.asarray(released.vectors[0], np.float64),
                one.update.vectors[0].astype(np.float64),
                deviation,
            )
        )
        sent = model if planted else seen.models.get(one.round + 1, model)
        moved = float(np.std(sent.astype(np.float64) - one.parameters)) or 1.0
        off = max(off, float(np.abs(sent.astype(np.float64) - model).max(initial=0.0)) / moved)
    blocks = blocks_of(hospital.network)
    return SentNoise(tuple(sums), blocks, off=off, loudest=_largest_update(seen, orders, fault))


class _Server:
    """The server's half of the mechanism, and its strategy, with a fault in the noise."""

    def __init__(self, seen: Observation, hospital: Hospital, fault: Fault, repeat: int) -> None:
        study, length = seen.study, Layout.of(hospital.network).length
        mechanism = cast(HospitalLevel, mechanism_of(study))
        words: tuple[object, ...] = ("planted", repeat) if repeat else ()

        def honest(number: int) -> SeededNoise:
            return SeededNoise(generator(study.seed, number, "server", "noise", *words))

        self.seen = seen
        self.strategy = cast(Strategy, STRATEGIES.build(study.strategy))
        self.central = CentralNoise(
            mechanism,
            facts_of_hospital(hospital),
            lambda number: fault.noise(honest, number),
            rounding(study, length),
        )

    def release(self, one: Summed, clip_norm: float) -> Update:
        """The noisy sum of a round."""
        state = {CLIP_NORM: np.array([clip_norm])} if clip_norm else {}
        return self.central.release(one.round, state, one.update)[0]

    def step(self, state: State, one: Summed, released: Update) -> tuple[State, Vector]:
        """The strategy's step on it."""
        study = self.seen.study
        strategy = in_round(self.strategy, study.server_schedule, one.round)
        contributions = Contributions(released, None, float(sum(self.seen.cases.values())))
        return strategy.step(own_state(state), one.parameters, contributions)


def _largest_update(seen: Observation, orders: Orders, fault: Fault) -> float | None:
    """Over the clip norm: of a hospital that trains at rates so high that it has to clip."""
    number, site = min(orders)
    order, hospital = from_payload(orders[number, site]), hospital_of(seen.study, site)
    if not order.clip_norm:
        return None
    found = [_norm(hospital, order, fault, times) for times in TIMES]
    return max((norm for norm in found if norm is not None), default=None)


def _norm(hospital: Hospital, order: Order, fault: Fault, times: float) -> float | None:
    training = hospital.study.training
    fast = replace(hospital.study, training=replace(training, learning_rate=training.learning_rate * times))
    steep = Fault(fault.name, study=lambda _: fast, order=fault.order)
    try:
        update = replayed(hospital, order, steep).update
    except WardroundError:
        return None
    return float(np.linalg.norm(update.vectors[0].astype(np.float64))) / order.clip_norm
