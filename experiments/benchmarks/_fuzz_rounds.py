"""One honest round of an aggregation, recorded, so that any one message of it can be sent again as another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from common.data.cases import SiteId
from common.errors import EngineError
from common.sums.aggregation import Aggregation, Local
from common.sums.exchange import Payload
from common.sums.mean import Mean
from experiments.engines._loopback_exchange import InMemoryExchange, collect, expected_of, random_updates

HOSPITALS, VALUES = 4, 24
HOSTILE = "hospital-01"
"""Whose replies are changed; on the hospitals' side, who gets the changed requests."""


@dataclass(frozen=True)
class Recorded:
    """requests, replies, locals: by leg and hospital; locals as they were before the request was answered."""

    aggregation: Aggregation
    exchange: InMemoryExchange
    requests: Mapping[tuple[str, SiteId], Payload]
    replies: Mapping[tuple[str, SiteId], Payload]
    locals: Mapping[tuple[str, SiteId], Local]

    @classmethod
    def of(cls, aggregation: Aggregation) -> Recorded:
        """A round of four hospitals."""
        updates = random_updates(HOSPITALS, VALUES, np.random.default_rng(0))
        exchange = _Recording(
            aggregation, {site: replace(one, statistics={"loss": Mean.of([0.5])}) for site, one in updates.items()}
        )
        if collect(exchange).total is None:
            raise EngineError(f"an honest round failed: {exchange.dropped}")
        crossed = exchange.crossed
        requests = {(one.leg, one.site): one.request for one in crossed}
        replies = {(one.leg, one.site): one.reply for one in crossed if one.reply is not None}
        return cls(aggregation, exchange, requests, replies, exchange.locals)

    @property
    def legs(self) -> list[tuple[str, SiteId]]:
        """Each leg once, with the hospital that is attacked or attacks, or the only one that was asked."""
        found = dict(self.replies.keys())
        return [(leg, HOSTILE if (leg, HOSTILE) in self.replies else site) for leg, site in found.items()]

    def server_half(self, leg: str, site: SiteId) -> Callable[[Payload], bool]:
        """The whole of `collect`, one reply being what it is called with; whether nobody was dropped."""

        def read(reply: Payload) -> bool:
            replayed = Replayed({**self.replies, (leg, site): reply})
            order = Payload(words={"study": "{}"})
            requests = dict.fromkeys(self.exchange.updates, order)
            expected = expected_of(self.exchange.updates)
            self.aggregation.collect(replayed, requests, frozenset(requests), expected)
            return not replayed.dropped

        return read

    def hospital_half(self, leg: str, site: SiteId) -> Callable[[Payload], bool]:
        """One answer, to what it is called with. Raises WireError where it refuses."""
        kept, update = self.locals[leg, site], self.exchange.updates[site]

        def read(request: Payload) -> bool:
            local = replace(kept, secrets=dict(kept.secrets))
            if leg == "round":
                self.aggregation.protect(update, request, local)
            else:
                self.aggregation.answer(leg, request, local)
            return True

        return read


@dataclass
class Replayed:
    """An `Exchange` whose hospitals say what they said before."""

    replies: Mapping[tuple[str, SiteId], Payload]
    dropped: list[SiteId] = field(default_factory=list)

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        """What was recorded, of those that were recorded."""
        return {site: self.replies[leg, site] for site in sorted(requests) if (leg, site) in self.replies}

    def drop(self, site: SiteId, leg: str, reason: str) -> None:
        """Count it."""
        self.dropped.append(site)


@dataclass
class _Recording(InMemoryExchange):
    locals: dict[tuple[str, SiteId], Local] = field(default_factory=dict)

    def _answer(self, leg: str, site: SiteId, request: Payload) -> Payload | None:
        local = self.local(site)
        self.locals[leg, site] = replace(local, secrets=dict(local.secrets))
        return super()._answer(leg, site, request)
