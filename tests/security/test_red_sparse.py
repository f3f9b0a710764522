"""A coordinator that names more hospitals in a sum, by a sparse graph of pairs, than are in it."""

from __future__ import annotations

from dataclasses import replace

from common.data.cases import SiteId
from common.sums.aggregations._sparse_client import marked
from common.sums.exchange import Payload
from experiments.engines._loopback_exchange import collect
from tests.common.test_sparse_masks import ALL, exchange, refusals


def test_a_sum_of_fewer_than_must_be_there_is_not_opened_by_naming_more() -> None:
    """A promise counts on so many shares of noise; of thirteen that must be there two were never asked."""

    def named(site: SiteId, request: Payload) -> Payload:
        return replace(request, words={**request.words, **marked(ALL, ALL)})

    played = exchange({"keys": list(ALL[:2])})
    played.cheats = {"round": named, "survivors": named}
    played.fewest = 13
    assert collect(played).total is None
    assert set(refusals(played, "round").values()) == {
        "a hospital that this one chose announced no keys, and is named as if it had."
    }
    assert len(refusals(played, "round")) > 4
