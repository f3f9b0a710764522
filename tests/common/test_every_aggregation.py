"""Every aggregation of ours passes the tests that anybody's inherits, and what masked sums promise beyond them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from common.study.catalogue import AGGREGATIONS
from common.study.options import Entry
from common.sums.aggregations.plain import Plain
from common.sums.aggregations.secagg import SecureAggregation
from common.sums.exchange import Expected
from experiments.engines._loopback_exchange import InMemoryExchange, collect, random_updates
from server.server_privacy import _rounding
from wardround.testing import AggregationTests


class TestEveryAggregation(AggregationTests):
    @pytest.fixture(params=AGGREGATIONS.names())
    def made(self, request: pytest.FixtureRequest) -> Any:
        return AGGREGATIONS.build(Entry(str(request.param)))


def test_masked_sums_are_not_opened_where_too_few_of_the_promised_are_left() -> None:
    aggregation = SecureAggregation()
    updates = random_updates(6, 20, np.random.default_rng(3))
    lost = {"round": ["hospital-02"]}
    assert collect(InMemoryExchange(aggregation, updates, lost=lost, fewest=5)).total is not None
    few = InMemoryExchange(aggregation, updates, lost=lost, fewest=6)
    assert collect(few).total is None
    assert {leg for _, leg, reason in few.refused if "this round needs 6" in reason} == {"survivors"}


class Coarse(Plain):
    def largest_error(self, hospitals: int, expected: Expected) -> float:
        return 0.25 * hospitals * expected.reach


def test_noise_of_the_server_pays_for_what_a_strangers_aggregation_declares() -> None:
    codec = SecureAggregation().codec_in(16)
    assert _rounding(Coarse(), 16, ("a", "b")) == 1.0
    assert _rounding(SecureAggregation(), 16, ("a", "b")) == 4 * codec.step
    assert _rounding(Plain(), 16, ("a", "b")) == 0.0
    thousand = tuple(f"hospital-{place}" for place in range(1000))
    coarser = SecureAggregation().codec_in(1000)
    assert _rounding(SecureAggregation(), 16, thousand) == 4 * coarser.step > 4 * codec.step
