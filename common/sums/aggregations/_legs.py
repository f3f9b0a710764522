"""The server's side of a protocol of many legs: ask, check every reply, and stop where too few are left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from common.data.cases import SiteId
from common.errors import TooFewHospitalsError, WireError
from common.sums.cohort import Cohort
from common.sums.exchange import Exchange, Payload, as_they_come
from common.wire.boundary import guarded

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
        refused: dict[SiteId, str] = {}
        for site, reply in as_they_come(self.exchange, leg, requests):
            if reply is None:
                continue
            try:
                accepted[site] = guarded(partial(accept, site, reply))
            except WireError as error:
                refused[site] = str(error)
            del reply  # else it would be held while the next one is read
        for site, reason in sorted(refused.items()):
            self.exchange.drop(site, leg, reason)
        accepted = dict(sorted(accepted.items()))
        if len(accepted) < needed:
            reason = f"{len(accepted)} hospitals answered leg {leg!r} of {self.protocol}, and {needed} must"
            self.give_up(leg, accepted, f"{reason}; nothing was opened")
        return accepted

    def ask_groups(
        self, leg: str, requests: Mapping[SiteId, Payload], accept: Callable[[SiteId, Payload], T], cohort: Cohort
    ) -> dict[SiteId, T]:
        """As `ask`, of those alone whose sum may still be opened; others are dropped, since their group is not whole.

        Raises TooFewHospitalsError where no sum is left that may be opened.
        """
        accepted = self.ask(leg, requests, accept, 0)
        left = cohort.openable(accepted)
        if not left:
            self._explain(leg, accepted, cohort)
        for site in sorted(accepted.keys() - set(left)):
            group = next(group for group in cohort.groups if site in group)
            missing = ", ".join(other for other in group if other not in accepted)
            self.exchange.drop(
                site, leg, f"its group is not whole, so that nothing of it is opened: {missing} is lost"
            )
        return {site: accepted[site] for site in left}

    def _explain(self, leg: str, accepted: Collection[SiteId], cohort: Cohort) -> None:
        missing = ", ".join(sorted(set(cohort.sites) - set(accepted))) or "nobody"
        reason = f"{len(accepted)} hospitals answered leg {leg!r} of {self.protocol}, and {cohort.least} must"
        if cohort.groups:
            reason += f", in whole groups; missing: {missing}"
        self.give_up(leg, accepted, f"{reason}; nothing was opened")

    def give_up(self, leg: str, sites: Collection[SiteId], reason: str) -> None:
        """Drop those left with a reason, and raise TooFewHospitalsError."""
        for site in sites:
            self.exchange.drop(site, leg, reason)
        raise TooFewHospitalsError(reason)
