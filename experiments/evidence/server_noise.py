"""The noise that a server added to its sums: its own code run again, and held against the models that it sent out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from client.hospital import Hospital
from common.errors import WardroundError
from common.learning.parameters import Layout
from common.privacy.noise import SeededNoise
from common.privacy.noise_source import NoiseSource
from common.seeding import generator
from common.study.catalogue import STRATEGIES
from common.sums.update import Update, Vector
from common.wire.train_requests import Order, from_payload
from experiments.evidence.clean_sums import blocks_of
from experiments.evidence.ground_truth import hospital_of
from experiments.evidence.planted import Fault
from experiments.evidence.promised_noise import ServerHalf
from experiments.evidence.recomputed_updates import Orders
from experiments.evidence.replayed import HONEST, replayed
from experiments.noisy_sums import NoisySum, SentNoise
from experiments.observation import Observation, Summed
from server.server_half import own_state
from server.strategy import Contributions, State, Strategy, in_round

TIMES = (1.0, 100.0, 10_000.0)
"""Of the learning rate."""


def server_noise(
    seen: Observation, orders: Orders, planted: Fault | None, words: tuple[object, ...] = ()
) -> SentNoise:
    """Of every round. planted: of a server in the recorded one's place; words: of its draws."""
    fault = planted or HONEST
    hospital = hospital_of(seen.study, min(site for _, site in orders))
    server = _Server(seen, ServerHalf(hospital, Layout.of(hospital.network).length), fault, words)
    sums, off = list[NoisySum](), 0.0
    state = server.strategy.init(seen.models[min(seen.models)])
    for one in sorted(seen.sums, key=lambda one: one.round):
        asked = seen.orders[one.round].clip_norm
        released = server.half.release(replace(one.update, statistics={}), asked, server.noise(one.round))
        state, model = server.step(state, one, released)
        noisy, deviation = released.vectors[0], server.half.deviation(server.half.clip_norm(asked))
        without = one.update.vectors[0].astype(np.float64)
        sums.append(NoisySum(one.round, one.sites, 0, np.asarray(noisy, np.float64), without, deviation))
        sent = model if planted else seen.models.get(one.round + 1, model)
        moved = float(np.std(sent.astype(np.float64) - one.parameters)) or 1.0
        off = max(off, float(np.abs(sent.astype(np.float64) - model).max(initial=0.0)) / moved)
    loudest = _largest_update(seen, orders, fault, server.half)
    return SentNoise(tuple(sums), blocks_of(hospital.network), off=off, loudest=loudest)


@dataclass(frozen=True)
class _Server:
    """The server's half of the mechanism, and its strategy, with a fault in the noise."""

    seen: Observation
    half: ServerHalf
    fault: Fault
    words: tuple[object, ...]

    @property
    def strategy(self) -> Strategy:
        """With its options."""
        return cast(Strategy, STRATEGIES.build(self.seen.study.strategy))

    def noise(self, number: int) -> NoiseSource:
        """As a simulated server draws it."""
        seed = self.seen.study.seed
        return self.fault.noise(lambda one: SeededNoise(generator(seed, one, "server", "noise", *self.words)), number)

    def step(self, state: State, one: Summed, released: Update) -> tuple[State, Vector]:
        """The strategy's step on a noisy sum."""
        strategy = in_round(self.strategy, self.seen.study.server_schedule, one.round)
        contributions = Contributions(released, None, float(sum(self.seen.cases.values())))
        return strategy.step(own_state(state), one.parameters, contributions)


def _largest_update(seen: Observation, orders: Orders, fault: Fault, half: ServerHalf) -> float | None:
    """Over the clip norm: of a hospital that trains at rates so high that it has to clip."""
    order = from_payload(orders[min(orders)])
    claimed = half.clip_norm(order.clip_norm)
    found = [_norm(half.hospital, order, fault, times) for times in TIMES]
    known = [norm for norm in found if norm is not None]
    return max(known) / claimed if known and claimed else None


def _norm(hospital: Hospital, order: Order, fault: Fault, times: float) -> float | None:
    training = hospital.study.training
    fast = replace(hospital.study, training=replace(training, learning_rate=training.learning_rate * times))
    steep = Fault(fault.name, study=lambda _: fast, order=fault.order)
    try:
        return float(np.linalg.norm(replayed(hospital, order, steep).update.vectors[0].astype(np.float64)))
    except WardroundError:
        return None
