"""Sums in the clear: the server sees every hospital's single update."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from common.cases import SiteId
from common.decoding import update_from_payload, update_to_payload
from common.errors import WireError
from common.exchange import Collected, Exchange, Expected, Payload, Reveals
from common.protocol import Aggregation, Local
from common.update import Update


@dataclass(frozen=True)
class Plain:
    """One leg; updates are added in the order of the hospitals' names, so the sum never depends on arrival."""

    reveals: ClassVar[Reveals] = "each"

    def check(self, hospitals: int) -> None:
        """Any number will do."""

    def collect(
        self,
        exchange: Exchange,
        requests: Mapping[SiteId, Payload],
        contributing: frozenset[SiteId],
        expected: Expected,
    ) -> Collected:
        """Ask, check every update, drop the bad ones by name, and add the rest."""
        replies = exchange.ask("round", requests)
        each: dict[SiteId, Update] = {}
        for site in sorted(contributing & replies.keys()):
            try:
                each[site] = update_from_payload(replies[site], site, expected)
            except WireError as error:
                exchange.drop(site, "round", str(error))
                del replies[site]
        total: Update | None = None
        for update in each.values():
            total = update if total is None else total + update
        return Collected(total, tuple(each), each, replies)

    def protect(self, update: Update, request: Payload, local: Local) -> Payload:
        """The update as it is."""
        return update_to_payload(update)

    def answer(self, leg: str, request: Payload, local: Local) -> Payload:
        """There is no other leg."""
        raise WireError("aggregation 'plain' has one leg only.")


aggregation: type[Aggregation] = Plain
