"""Every analysis of ours passes the tests that anybody's inherits.

A new one adds a line to ENTRIES: its options, which name columns of `wardround.testing.records.tiny_records`, or
tables of its own. Where options change what it does, several lines, told apart after a colon: `"quantiles:median"`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from common.asking.analysis import Analysis
from common.study.catalogue import ANALYSES
from common.study.options import Entry
from wardround.testing import AnalysisTests
from wardround.testing.records import Tables, tiny_records


@dataclass(frozen=True)
class Asked:
    """options: as a study gives them. records: tables in which it has an answer."""

    options: Mapping[str, Any] = field(default_factory=dict)
    records: Callable[[], Tables] = tiny_records


ENTRIES: dict[str, Asked] = {
    "bounded_mean": Asked({"column": "age", "low": 18, "high": 100}),
    "heavy_hitters": Asked(
        {"column": "ward", "least": 2, "alphabet": "cdegimnrstuv", "lengths": (2, 4), "buckets": 64}
    ),
    "heavy_hitters:words": Asked(
        {"column": "ward", "least": 2, "words": ("surgery", "medicine", "palliative"), "buckets": 64}
    ),
    "mean": Asked({"column": "age"}),
    "private_quantile": Asked({"column": "age", "low": 18, "high": 100}),
    "quantile_tree": Asked({"column": "age", "low": 18, "high": 100, "fan": 4, "levels": 3}),
}


class TestEveryAnalysis(AnalysisTests):
    @pytest.fixture(params=ENTRIES)
    def made(self, request: pytest.FixtureRequest) -> tuple[Analysis, Tables]:
        asked = ENTRIES[request.param]
        return ANALYSES.build(Entry(request.param.partition(":")[0], asked.options)), asked.records()


def test_every_analysis_is_tested() -> None:
    missing = set(ANALYSES.names()) - {name.partition(":")[0] for name in ENTRIES}
    assert not missing, f"{sorted(missing)} have no options to be tested with: add them to ENTRIES of this file"
