"""Colluders that keep their secret shares: as many as the threshold open anyone, fewer nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest

from common.aggregation._agreement import Agreement
from common.aggregation.secagg import SecureAggregation
from common.cases import SiteId
from common.errors import WireError
from common.exchange import Payload
from experiments.audit.secret_shares import Watched, unmasked
from experiments.in_memory import InMemoryExchange, collect, expected_of, random_updates

HOSPITALS, THRESHOLD = 6, 4
VICTIM, HONEST = "hospital-05", "hospital-04"


@dataclass
class Remembering(InMemoryExchange):
    """Hospitals that keep a copy of what the protocol tells them to forget."""

    kept: dict[SiteId, bytes] = field(default_factory=dict)

    def ask(self, leg: str, requests: Mapping[SiteId, Payload]) -> dict[SiteId, Payload]:
        replies = super().ask(leg, requests)
        if leg == "shares":
            self.kept = {site: self.secrets[site]["secagg/channels"] for site in replies}
        return replies


@pytest.fixture(scope="module")
def exchange() -> Remembering:
    updates = random_updates(HOSPITALS, 50, np.random.default_rng(0))
    made = Remembering(SecureAggregation(), updates)
    assert collect(made).total is not None
    return made


def watched(exchange: Remembering) -> Watched:
    requests = {leg: {c.site: c.request for c in exchange.crossed if c.leg == leg} for leg in ("shares", "round")}
    assert isinstance(exchange.aggregation, SecureAggregation)
    shares, masked = exchange.replies("shares"), exchange.replies("round")
    return Watched(exchange.aggregation, requests["shares"][VICTIM], shares, requests["round"], masked)


def colluders(exchange: Remembering, count: int) -> dict[SiteId, bytes]:
    return {site: exchange.kept[site] for site in sorted(exchange.kept)[:count]}


@pytest.mark.parametrize("victim", [VICTIM, HONEST])
def test_as_many_colluders_as_the_threshold_open_either_of_two_honest_hospitals(
    exchange: Remembering, victim: SiteId
) -> None:
    aggregation, round_ = exchange.aggregation, watched(exchange)
    assert isinstance(aggregation, SecureAggregation)
    assert aggregation.sums.threshold.of(HOSPITALS) == THRESHOLD
    opened = unmasked(round_, colluders(exchange, THRESHOLD), victim)
    agreement = Agreement.of(frozenset(exchange.updates), expected_of(exchange.updates))
    error = np.abs(opened.vectors[0] - exchange.updates[victim].vectors[0]).max()
    assert 0 < error <= aggregation.codec.largest_error(1, agreement)
    assert opened.weight == exchange.updates[victim].weight


def test_one_colluder_fewer_opens_nobody(exchange: Remembering) -> None:
    with pytest.raises(WireError, match="do not open"):
        unmasked(watched(exchange), colluders(exchange, THRESHOLD - 1), VICTIM)
