"""Every aggregation of ours passes the tests that anybody's inherits, and what masked sums promise beyond them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from common.study.catalogue import AGGREGATIONS
from common.study.options import Entry
from common.sums.aggregations.secagg import SecureAggregation
from experiments.in_memory import InMemoryExchange, collect, random_updates
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
