"""Hospitals in memory: an aggregation's real halves on both sides, without engine, data or network.

For tests and benchmarks of protocols. Everything that crosses is recorded, hospitals can be lost in any leg, and
CPU seconds are counted on each side.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import process_time

import numpy as np

from common.data.cases import SiteId
from common.errors import WireError
from common.seeding import generator
from common.sums.aggregation import Aggregation, Local
from common.sums.cohort import Cohort, Groups
from common.sums.exchange import Collected, Expected, Payload
from common.sums.identity import simulated
from common.sums.update import Update
from common.sums.wide import CollectedWide, WideForm
from common.sums.wide_sums import collect_wide, protect_wide

STUDY, RUN = "0" * 64, "1" * 32


@dataclass(frozen=True)
class Crossed:
    """One message: which leg, which hospital, what went there and what came back, None where nothing did."""

    leg: str
    site: SiteId
    request: Payload
    reply: Payload | None


@dataclass
class InMemoryExchange:
    """An `Exchange` over hospitals that each hold one update.

    lost: hospitals that do not answer from a leg on. refused: what hospitals refused to answer, and why. seconds:
    CPU seconds of each hospital's own work, by leg. fewest, groups: of the cohort that hospitals compute. numbers:
    wide ones that each holds, where those are added up and no update is.
    """

    aggregation: Aggregation
    updates: Mapping[SiteId, Update]
    number: int = 1
    seed: int = 0
    folder: Path | None = None
    lost: Mapping[str, Iterable[SiteId]] = field(default_factory=dict)
    secrets: dict[SiteId, dict[str, bytes]] = field(default_factory=lambda: defaultdict(dict))
    dropped: list[tuple[SiteId, str, str]] = field(default_factory=list)
    crossed: list[Crossed] = field(default_factory=list)
    refused: list[tuple[SiteId, str, str]] = field(default_factory=list)
    seconds: dict[SiteId, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    gone: set[SiteId] = field(default_factory=set)
    fewest: int = 1
    groups: Groups = ()
    numbers: Mapping[SiteId, Sequence[int]] = field(default_factory=dict)

    @property
    def cohort(self) -> Cohort:
        """All hospitals that hold an update, as each of them computes it."""
        return Cohort(tuple(sorted(self.updates)), self.fewest, self.groups)

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        """One leg, hospital after hospital."""
        self.gone |= set(self.lost.get(leg, ()))
        replies = {}
        for site, request in sorted(requests.items()):
            reply = None if site in self.gone else self._answer(leg, site, request)
            self.crossed.append(Crossed(leg, site, request, reply))
            if reply is None:
                self.drop(site, leg, "no reply")
            else:
                replies[site] = reply
        return replies

    def drop(self, site: SiteId, leg: str, reason: str) -> None:
        """Remember."""
        self.dropped.append((site, leg, reason))

    def local(self, site: SiteId) -> Local:
        """What this hospital's half works with; all its draws are from the seed."""
        own = None if self.folder is None else self.folder / site
        rng = generator(self.seed, self.number, site, "protocol")
        identity = simulated(site, self.updates, self.seed)
        return Local(site, self.number, STUDY, identity, self.secrets[site], rng, self.cohort, RUN, "", own)

    def replies(self, leg: str) -> dict[SiteId, Payload]:
        """What came back in one leg."""
        return {one.site: one.reply for one in self.crossed if one.leg == leg and one.reply is not None}

    def _answer(self, leg: str, site: SiteId, request: Payload) -> Payload | None:
        local = self.local(site)
        begin = process_time()
        try:
            if leg == "round" and self.numbers:
                return protect_wide(self.aggregation, self.numbers[site], request, local)
            if leg == "round":
                return self.aggregation.protect(self.updates[site], request, local)
            return self.aggregation.answer(leg, request, local)
        except WireError as error:
            self.refused.append((site, leg, str(error)))
            return None
        finally:
            self.seconds[site][leg] = process_time() - begin


def expected_of(updates: Mapping[SiteId, Update], needed: int = 1, groups: Groups = ()) -> Expected:
    """What the server expects of such updates. needed, groups: as the server counts, honest or not."""
    first = next(iter(updates.values()))
    length = first.vectors[0].size if first.vectors else 0
    names = sorted({name for update in updates.values() for name in update.statistics})
    largest = {site: max(update.weight, 1.0) for site, update in updates.items()}
    return Expected(length, len(first.vectors), largest, tuple(names), Cohort(tuple(sorted(updates)), needed, groups))


def collect(exchange: InMemoryExchange, request: Payload | None = None, needed: int = 1) -> Collected:
    """One round of all the exchange's hospitals."""
    order = Payload(words={"study": "{}"}) if request is None else request
    requests: dict[SiteId, Payload] = {site: replace(order) for site in exchange.updates}
    expected = expected_of(exchange.updates, needed, exchange.groups)
    return exchange.aggregation.collect(exchange, requests, frozenset(requests), expected)


def collect_numbers(exchange: InMemoryExchange, form: WideForm, needed: int = 1) -> CollectedWide:
    """The sum of the wide numbers of the exchange's hospitals."""
    requests = {site: Payload(words={"study": "{}"}) for site in exchange.updates}
    cohort = Cohort(tuple(sorted(exchange.updates)), needed, exchange.groups)
    return collect_wide(exchange.aggregation, exchange, requests, cohort, form)


def random_updates(
    hospitals: int, length: int, rng: np.random.Generator, largest: float = 0.9, vectors: int = 1
) -> dict[SiteId, Update]:
    """Updates n_k u_k with weights 1 to 9 and u_k evenly spread within +-largest."""
    updates: dict[SiteId, Update] = {}
    for index in range(hospitals):
        weight = float(rng.integers(1, 10))
        arrays = [(weight * rng.uniform(-largest, largest, length)).astype(np.float32) for _ in range(vectors)]
        updates[f"hospital-{index:02d}"] = Update(tuple(arrays), weight)
    return updates
