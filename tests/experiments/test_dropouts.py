"""A hospital that is lost where sums are of whole groups: waited for, gone on without, or the end of the run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from client import handlers as answers
from client.hospital import Hospital
from common.errors import TooFewHospitalsError
from common.study.study import Study
from common.sums.exchange import Payload
from experiments.engines._quiet import run_quietly

SUMS = ("aggregation=secagg", "federation.dropout_wait_s=600")
LOST = "hospital-0"
Lose = Callable[[int, int], None]


@pytest.fixture
def lose(monkeypatch: pytest.MonkeyPatch) -> Lose:
    """The first hospital fails so many times in a round, after it was asked to train."""

    def losing(number: int, times: int) -> None:
        real, failed = answers.round_, list[int]()

        def failing(hospital: Hospital, request: Payload, kept: answers.RequestContext) -> Payload:
            if hospital.site == LOST and request.numbers["round"] == number and len(failed) < times:
                failed.append(number)
                raise RuntimeError("a cable was loose")
            return real(hospital, request, kept)

        monkeypatch.setattr(answers, "round_", failing)

    return losing


@pytest.mark.parametrize("way", ["secagg", "additive", "bfv", "ckks"])
def test_a_round_is_repeated_until_its_group_is_whole_and_the_model_is_the_same(
    tiny: Callable[..., Study], lose: Lose, tmp_path: Path, way: str
) -> None:
    study = tiny(*SUMS, f"aggregation={way}", "rounds=2")
    undisturbed = run_quietly(study, tmp_path / "undisturbed")
    lose(2, 2)
    disturbed = run_quietly(study, tmp_path / "disturbed")
    assert [record["attempts"] for record in disturbed.rounds] == [1, 3]
    assert LOST in {drop["site"] for drop in disturbed.rounds[1]["dropped"]}
    assert len(disturbed.rounds[1]["contributed"]) == 4
    assert disturbed.about["model_sha256"] == undisturbed.about["model_sha256"]


def test_the_run_stops_where_it_is_not_to_wait_and_is_resumed_to_the_same_model(
    tiny: Callable[..., Study], lose: Lose, tmp_path: Path
) -> None:
    study = tiny(*SUMS, 'federation.on_dropout="stop"')
    undisturbed = run_quietly(study, tmp_path / "undisturbed")
    lose(2, 1)
    with pytest.raises(TooFewHospitalsError, match=r"in whole groups.*hospital-0"):
        run_quietly(study, tmp_path / "stopped")
    assert json.loads((tmp_path / "stopped" / "about.json").read_text())["rounds_done"] == 1
    resumed = run_quietly(study, tmp_path / "stopped", resume=True)
    assert resumed.about["model_sha256"] == undisturbed.about["model_sha256"]


def test_other_groups_go_on_without_the_one_that_lost_a_member(
    tiny: Callable[..., Study], lose: Lose, tmp_path: Path
) -> None:
    study = tiny(
        "partition.hospitals=6",
        'aggregation={name="secagg",threshold=4}',
        "federation.least_in_sum=3",
        'federation.on_dropout="other-groups"',
        "federation.dropout_wait_s=0",
        "rounds=2",
    )
    lose(1, 1)
    with pytest.raises(TooFewHospitalsError):
        run_quietly(study, tmp_path / "half is below the threshold")
    larger = tiny(
        "partition.hospitals=9",
        "federation.least_in_sum=3",
        'aggregation={name="secagg",threshold=6}',
        'federation.on_dropout="other-groups"',
        "rounds=2",
    )
    lose(1, 1)
    outcome = run_quietly(larger, tmp_path / "two thirds")
    assert [len(record["contributed"]) for record in outcome.rounds] == [6, 9]
    reasons = {drop["site"]: drop["reason"] for drop in outcome.rounds[0]["dropped"]}
    assert LOST in reasons and len(reasons) == 3
    assert sum("its group is not whole" in reason for reason in reasons.values()) == 2


def test_final_scores_are_of_all_hospitals_or_are_not_told(
    tiny: Callable[..., Study], lose: Lose, tmp_path: Path
) -> None:
    lose(4, 99)
    outcome = run_quietly(tiny(*SUMS, "federation.dropout_wait_s=0"), tmp_path)
    assert outcome.about["state"] == "completed"
    assert outcome.final["test"] == {"sites": {}, "pooled": {}}
