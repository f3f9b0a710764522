"""Every privacy mechanism of ours passes the tests that anybody's inherits; its noise: tests/experiments."""

from __future__ import annotations

from typing import Any

import pytest

from common.study.catalogue import MECHANISMS
from common.study.options import Entry
from wardround.testing import MechanismTests

OPTIONS: dict[str, dict[str, Any]] = {
    "dpsgd": {"noise_multiplier": 1.0, "delta": 1e-3},
    "hospital": {"noise_multiplier": 1.0, "delta": 0.1},
    "distributed": {"noise_multiplier": 1.0, "delta": 1e-3, "sampling_rate": 0.5},
}


class TestEveryMechanism(MechanismTests):
    @pytest.fixture(params=MECHANISMS.names())
    def made(self, request: pytest.FixtureRequest) -> Any:
        assert request.param in OPTIONS, f"mechanism {request.param!r} has no options here: add some"
        return MECHANISMS.build(Entry(request.param, OPTIONS[request.param]))
