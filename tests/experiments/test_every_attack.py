"""Every attack, and the engine of debuggers, passes the tests that anybody's inherits; others: test_engines_same."""

from __future__ import annotations

from typing import Any

import pytest

from common.study.options import Entry
from experiments.catalogue import ATTACKS
from experiments.engines.inline import Inline
from wardround.testing import AttackTests, EngineTests


class TestEveryAttack(AttackTests):
    @pytest.fixture(params=ATTACKS.names())
    def made(self, request: pytest.FixtureRequest) -> Any:
        return ATTACKS.build(Entry(str(request.param)))


class TestInline(EngineTests):
    engine = Inline()
