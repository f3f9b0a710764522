"""Every strategy of ours passes the tests that anybody's inherits."""

from __future__ import annotations

from typing import Any

import pytest

from common.study.catalogue import STRATEGIES
from common.study.options import Entry
from wardround.testing import StrategyTests


class TestEveryStrategy(StrategyTests):
    @pytest.fixture(params=STRATEGIES.names())
    def made(self, request: pytest.FixtureRequest) -> Any:
        return STRATEGIES.build(Entry(str(request.param)))

    def test_its_learning_rate_is_an_option(self, made: Any) -> None:
        assert made.learning_rate > 0


@pytest.mark.parametrize("name", STRATEGIES.names())
def test_a_strategy_says_what_it_does_in_one_line(name: str) -> None:
    assert len(STRATEGIES.summary(name)) > 20
