"""What the benchmarks of sums share: the hospitals' values, a round of one of our aggregations, and its error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from time import process_time

import numpy as np
from flwr.app import Message
from flwr.app.message_type import MessageType
from numpy.typing import NDArray

from common.data.cases import SiteId
from common.errors import EngineError
from common.seeding import generator
from common.sums.aggregation import Aggregation
from common.sums.exchange import Payload
from common.sums.update import Update
from common.wire.message_bytes import identify, size_of
from common.wire.records import to_records
from experiments.engines._loopback_exchange import InMemoryExchange, collect

LARGEST, LEAST_WEIGHT, WEIGHT_STEPS = 0.9, 100, 900


@dataclass(frozen=True)
class TrainedValues:
    """Trained values of each hospital, (n,) float32 within +-0.9, and its weight."""

    values: Mapping[SiteId, NDArray[np.float32]]
    weights: Mapping[SiteId, int]

    @property
    def sites(self) -> tuple[SiteId, ...]:
        """Names, in order."""
        return tuple(self.values)

    @cached_property
    def updates(self) -> dict[SiteId, Update]:
        """As our hospitals hold them when training is over."""
        return {
            site: Update((values * np.float32(self.weights[site]),), float(self.weights[site]))
            for site, values in self.values.items()
        }

    def largest_error(self, mean: NDArray[np.float64], stayed: Sequence[SiteId]) -> float:
        """Of the weighted mean of those that stayed, against the same in float64."""
        total = np.zeros(mean.shape)
        for site in stayed:
            total += self.values[site].astype(np.float64) * self.weights[site]
        return float(np.abs(mean - total / sum(self.weights[site] for site in stayed)).max())


@dataclass(frozen=True)
class Outcome:
    """A round. client_s, sent_bytes: of one hospital, CPU by leg; server_s: CPU; error: of the mean."""

    client_s: Mapping[str, float]
    server_s: float
    sent_bytes: float
    error: float

    @property
    def client_ms(self) -> float:
        """All legs."""
        return 1e3 * sum(self.client_s.values())


def work(hospitals: int, values: int) -> TrainedValues:
    """The same on every call."""
    rng = generator(1, "benchmark sums")
    sites = [f"hospital-{index:02d}" for index in range(hospitals)]
    weights = {site: LEAST_WEIGHT + int(rng.integers(WEIGHT_STEPS)) for site in sites}
    return TrainedValues({site: rng.uniform(-LARGEST, LARGEST, values).astype(np.float32) for site in sites}, weights)


def worked(aggregation: Aggregation, given: TrainedValues, lost: Sequence[SiteId] = ()) -> Outcome:
    """One round of ours. lost: hospitals silent from the masked values on. Raises EngineError where it fails."""
    exchange = _Asked(aggregation, given.updates, seed=1, lost={"round": tuple(lost)})
    begin = process_time()
    collected = collect(exchange)
    total_s = process_time() - begin
    if collected.total is None:
        raise EngineError(f"a round in memory failed: {exchange.dropped}")
    stayed = [site for site in given.sites if site not in lost]
    mean = np.asarray(collected.total.vectors[0] / collected.total.weight, np.float64)
    legs = {
        leg: fmean(exchange.seconds[site].get(leg, 0.0) for site in stayed) for leg in exchange.seconds[stayed[0]]
    }
    return Outcome(legs, total_s - exchange.asked_s, _sent_bytes(exchange, stayed), given.largest_error(mean, stayed))


def least(outcomes: Sequence[Outcome]) -> Outcome:
    """The round with the least CPU of hospitals, and the least of the server's: what else runs only adds to them."""
    best = min(outcomes, key=lambda one: one.client_ms)
    server_s = min(one.server_s for one in outcomes)
    return Outcome(best.client_s, server_s, best.sent_bytes, max(one.error for one in outcomes))


@dataclass
class _Asked(InMemoryExchange):
    """asked_s: CPU seconds that are not the server's."""

    asked_s: float = 0.0

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        begin = process_time()
        try:
            return super().ask(leg, requests)
        finally:
            self.asked_s += process_time() - begin

    def _answer(self, leg: str, site: SiteId, request: Payload) -> Payload | None:
        """What the server gets is a copy, as over a wire; a hospital's own memory is free for its next round."""
        reply = super()._answer(leg, site, request)
        return reply if reply is None or reply.data is None else replace(reply, data=reply.data.copy())


def _sent_bytes(exchange: InMemoryExchange, stayed: Sequence[SiteId]) -> float:
    """Of one hospital's replies as they cross the wire."""
    identify(run_id=1, node_id=1)
    replies = [one.reply for one in exchange.crossed if one.site in stayed and one.reply is not None]
    messages = [Message(to_records(reply), dst_node_id=1, message_type=MessageType.TRAIN) for reply in replies]
    return sum(map(size_of, messages)) / len(stayed)
