"""An aggregation's way to hospitals where its numbers answer a question: its leg "round" is the leg "question"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from common.data.names import SiteId
from common.sums.exchange import Payload
from server.exchange import GridExchange

ROUND, LEG = "round", "question"


@dataclass(frozen=True)
class QuestionLeg:
    """An `Exchange` around the run's own."""

    exchange: GridExchange

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        """See Exchange."""
        return self.exchange.ask(LEG if leg == ROUND else leg, requests)

    def drop(self, site: SiteId, leg: str, reason: str) -> None:
        """See Exchange."""
        self.exchange.drop(site, LEG if leg == ROUND else leg, reason)
