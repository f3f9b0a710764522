"""Sums that a coordinator opens of real hospitals, honestly or not, and what it makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import cast

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId
from common.learning.parameters import new_network, read
from common.study.catalogue import AGGREGATIONS, STRATEGIES
from common.study.study import Study, parse_json
from common.sums.aggregation import Aggregation
from common.sums.cohort import Cohort
from common.sums.exchange import Expected
from common.sums.update import Sum, Update
from common.wire.train_requests import Order, to_payload
from experiments.benchmarks._contract_nodes import Coordinator, Hospitals, cases_of
from experiments.evidence.ground_truth import hospital_of
from experiments.evidence.told_apart import nearest
from server.strategy import Strategy

LOSS = "training/loss"
STATISTICS = ("seconds/training", LOSS)
"""In every sum, beside the weight."""
NEARLY = 1e-6
"""How far the second of two models is moved, so that no memory of models knows it."""
BASE_ROUND = 2
"""The first whose model no hospital can compute by itself."""


@dataclass(frozen=True)
class Opened:
    """An opened sum: of whom, its values (P,), the weights and the losses in it; and what each really put in."""

    sites: tuple[SiteId, ...]
    values: Sum
    weight: float
    loss: float
    sent: Mapping[SiteId, Update]
    total: Update

    def less(self, site: SiteId) -> Opened:
        """Without what one hospital put in, as it tells, where it is in the sum."""
        if site not in self.sites:
            return self
        own = self.sent[site]
        values = self.values - own.vectors[0].astype(np.float64)
        loss = self.loss - own.statistics["loss"].value * own.weight
        left = tuple(other for other in self.sites if other != site)
        return replace(self, sites=left, values=values, weight=self.weight - own.weight, loss=loss)


@dataclass
class Opener:
    """Opens sums of `hospitals`, in runs of its own."""

    hospitals: Hospitals
    runs: Iterator[int] = field(default_factory=lambda: iter(range(1 << 30)))

    @cached_property
    def strategy(self) -> Strategy:
        """Of the study."""
        return cast(Strategy, STRATEGIES.build(self.hospitals.study.strategy))

    @cached_property
    def cases(self) -> dict[SiteId, float]:
        """Of every hospital."""
        return cases_of(self.hospitals.study, self.hospitals.sites)

    @cached_property
    def start(self) -> NDArray[np.float32]:
        """The model of round 1."""
        study, site = self.hospitals.study, self.hospitals.sites[0]
        shape = hospital_of(study, site).train.shape
        return read(new_network(study.build_task(), shape, study.seed, study.training))

    def new_run(self) -> str:
        """32 hexadecimal digits."""
        return sha256(str(next(self.runs)).encode()).hexdigest()[:32]

    def order(self, number: int, model: NDArray[np.float32], study: Study | None = None) -> Order:
        """To train from a model."""
        work = self.strategy.work()
        control = np.zeros_like(model) if work.controlled else None
        return Order((study or self.hospitals.study).json, number, model, work, control)

    def open(
        self, order: Order, run: str, cohort: Cohort, lost: Mapping[str, Sequence[SiteId]] | None = None
    ) -> Opened | None:
        """What comes of one round; None where nothing is opened."""
        study = parse_json(order.study_json)
        exchange = Coordinator(self.hospitals, study, run, order.round, lost or {})
        aggregation = cast(Aggregation, AGGREGATIONS.build(study.aggregation))
        work = self.strategy.work()
        expected = Expected(len(order.parameters), work.vectors, self.cases, STATISTICS, cohort)
        requests = dict.fromkeys(cohort.sites, to_payload(order, run))
        self.hospitals.sent.clear()
        collected = aggregation.collect(exchange, requests, frozenset(requests), expected)
        if collected.total is None:
            return None
        total, loss = collected.total, collected.total.statistics[LOSS]
        values, sites = total.vectors[0].astype(np.float64), tuple(sorted(collected.sites))
        return Opened(sites, values, total.weight, loss.value * total.weight, dict(self.hospitals.sent), total)


def estimate(opened: Sequence[Opened], victim: SiteId) -> tuple[Sum, float]:
    """(P,) the combination nearest to one hospital alone, and the mean loss of it, by least squares."""
    factors = nearest([one.sites for one in opened], victim)
    values = factors @ np.array([one.values for one in opened])
    weight = float(factors @ np.array([one.weight for one in opened]))
    loss = float(factors @ np.array([one.loss for one in opened]))
    return values, loss / weight if abs(weight) > 1e-9 else np.inf
