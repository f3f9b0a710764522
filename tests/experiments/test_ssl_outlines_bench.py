"""What the benchmark of outlines after pretraining makes of its rows."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.benchmarks.ssl_outlines import PRETRAINED, SCRATCH, TEST, VALIDATION, measured


def row(way: str, rate: str, seed: int, test: float, validation: float) -> dict[str, Any]:
    return {"way": way, "rate": rate, "seed": seed, TEST: test, VALIDATION: validation, "cpu_s": 1.0}


def test_each_way_has_the_rate_of_its_own_validation_and_gains_are_of_the_same_seed() -> None:
    rows = [
        row(SCRATCH, "0.01", 0, 0.4, 0.5),
        row(SCRATCH, "0.01", 1, 0.5, 0.5),
        row(SCRATCH, "0.005", 0, 0.9, 0.1),
        row(SCRATCH, "0.005", 1, 0.9, 0.1),
        row(PRETRAINED, "0.01", 0, 0.0, 0.2),
        row(PRETRAINED, "0.01", 1, 0.0, 0.2),
        row(PRETRAINED, "0.005", 0, 0.45, 0.6),
        row(PRETRAINED, "0.005", 1, 0.55, 0.6),
    ]
    found = measured(rows)
    assert found.targets[0].ours == pytest.approx(0.05) and found.targets[0].met
    assert len(found.rows) == 4 and {one["seeds"] for one in found.rows} == {2}


def test_without_rows_nothing_is_said_to_be_met() -> None:
    assert measured([]).targets[0].met is None
