"""The server's side of a protocol of many legs: ask, check every reply, and stop where too few are left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from common.boundary import guarded
from common.cases import SiteId
from common.errors import TooFewHospitalsError, WireError
from common.exchange import Exchange, Payload

T = TypeVar("T")


@dataclass(frozen=True)
class Legs:
    """Every leg of one round; `protocol` is for reasons given."""

    exchange: Exchange
    protocol: str

    def ask(
        self, leg: str, requests: Mapping[SiteId, Payload], accept: Callable[[SiteId, Payload], T], needed: int
    ) -> dict[SiteId, T]:
        """What `accept` makes of each reply, sorted by hospital; those it raises anything for are dropped.

        Raises TooFewHospitalsError where fewer than `needed` are left, each dropped with that reason.
        """
        accepted: dict[SiteId, T] = {}
        for site, reply in self.exchange.ask(leg, requests).items():
            try:
                accepted[site] = guarded(partial(accept, site, reply))
            except WireError as error:
                self.exchange.drop(site, leg, str(error))
        if len(accepted) < needed:
            reason = f"{len(accepted)} hospitals answered leg {leg!r} of {self.protocol}, and {needed} must"
            self.give_up(leg, accepted, f"{reason}; nothing was opened")
        return accepted

    def give_up(self, leg: str, sites: Collection[SiteId], reason: str) -> None:
        """Drop those left with a reason, and raise TooFewHospitalsError."""
        for site in sites:
            self.exchange.drop(site, leg, reason)
        raise TooFewHospitalsError(reason)
