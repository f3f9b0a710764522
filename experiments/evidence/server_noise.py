"""The noise that a server added to its sums: its own code run again, and held against the models that it sent out."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from client.hospital import Hospital
from common.data.cases import SiteId
from common.learning.parameters import Layout
from common.privacy.facts import mechanism_of
from common.privacy.mechanisms.hospital import Hospital as HospitalLevel
from common.privacy.noise import SeededNoise
from common.seeding import generator
from common.study.catalogue import STRATEGIES
from common.sums.update import Update
from common.wire.orders import from_payload
from experiments.evidence.ground_truth import facts_of_hospital, hospital_of
from experiments.evidence.planted import Fault
from experiments.evidence.promised_noise import rounding, server_deviation
from experiments.evidence.recomputed_updates import Orders
from experiments.evidence.replayed import replayed
from experiments.noisy_sums import NoisySum, SentNoise
from experiments.observation import Observation, Summed
from server.central_noise import CLIP_NORM, CentralNoise, own_state
from server.strategy import Contributions, State, Strategy, in_round


def server_noise(
    seen: Observation, orders: Orders, fault: Fault, repeat: int = 0, is_planted: bool = False
) -> SentNoise:
    """Of every round. repeat: see `experiments.evidence.sent_noise`; where planted, no model that was sent counts."""
    site = min(site for _, site in orders)
    server, hospital = _Server(seen, hospital_of(seen.study, site), fault, repeat), hospital_of(seen.study, site)
    sums, off, state = [], 0.0, cast(State, {})
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
        sent = model if is_planted else seen.models.get(one.round + 1, model)
        moved = float(np.std(sent.astype(np.float64) - one.parameters)) or 1.0
        off = max(off, float(np.abs(sent.astype(np.float64) - model).max(initial=0.0)) / moved)
    layout = Layout.of(hospital.network)
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in layout.shapes.values())]).tolist()
    blocks = {name: slice(ends[index], ends[index + 1]) for index, name in enumerate(layout.shapes)}
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

    def step(self, state: State, one: Summed, released: Update) -> tuple[State, np.ndarray]:
        """The strategy's step on it."""
        study = self.seen.study
        strategy = in_round(self.strategy, study.server_schedule, one.round)
        contributions = Contributions(released, None, float(sum(self.seen.cases.values())))
        return strategy.step(own_state(state), one.parameters, contributions)


def _largest_update(seen: Observation, orders: Orders, fault: Fault) -> float | None:
    """Of those a round's hospitals send, over the clip norm; the first round's, made again where only sums came."""
    found: list[float] = []
    number = min(number for number, _ in orders)
    singles = {(one.round, one.site): one.update for one in seen.singles}
    for asked, site in sorted(orders):
        if asked == number:
            found.append(_norm(seen, orders, (asked, site), singles, fault))
    return max(found, default=None)


def _norm(
    seen: Observation,
    orders: Orders,
    key: tuple[int, SiteId],
    singles: dict[tuple[int, SiteId], Update],
    fault: Fault,
) -> float:
    order = from_payload(orders[key])
    hospital = hospital_of(seen.study, key[1])
    steep = replace(order, parameters=order.parameters)
    update = replayed(hospital, steep, fault).update if fault.name != "none" or key not in singles else singles[key]
    return float(np.linalg.norm(update.vectors[0].astype(np.float64))) / (order.clip_norm or 1.0)
