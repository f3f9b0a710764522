"""Scores between rounds, as both sides work them out: a whole federation, and a server that asks outside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import TooFewHospitalsError
from common.study.study import Study
from experiments.engines._quiet import run_quietly
from server import rounds

EVERY_TWO = ("rounds=5", "federation.evaluate_every=2")


@pytest.mark.parametrize("aggregation", ["plain", "secagg"])
@pytest.mark.parametrize("fraction", [1.0, 0.75])
def test_a_federation_scores_every_second_round_and_nobody_refuses(
    aggregation: str, fraction: float, tiny: Callable[..., Study], tmp_path: Path
) -> None:
    study = tiny(*EVERY_TWO, f"aggregation={aggregation}", f"federation.client_fraction={fraction}")
    outcome = run_quietly(study, tmp_path)
    assert [one["dropped"] for one in outcome.rounds] == [[]] * 5
    scored = [one["round"] for one in outcome.rounds if one["evaluation"] is not None]
    assert scored == [1, 3, 5]
    assert [one["evaluation"]["of_round"] for one in outcome.rounds[::2]] == [0, 2, 4]
    assert {one["evaluation"]["split"] for one in outcome.rounds[::2]} == {"validation"}
    assert set(outcome.final) == {"validation", "test"}


@pytest.mark.parametrize("aggregation", ["plain", "secagg"])
def test_a_server_that_asks_for_scores_outside_the_schedule_gets_neither_scores_nor_updates(
    aggregation: str, tiny: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "evaluated_splits", lambda study, number: ("validation",))
    with pytest.raises(TooFewHospitalsError, match="round 2 stopped"):
        run_quietly(tiny(*EVERY_TWO, f"aggregation={aggregation}", "federation.dropout_wait_s=0"), tmp_path)
    for index in range(4):
        log = (tmp_path / "hospitals" / f"hospital-{index}" / "incidents.log").read_text()
        assert "in round 2 the study scores []; ['validation'] came." in log
