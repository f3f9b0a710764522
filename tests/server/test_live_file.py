"""`live.json`: what it says after each event, how large it gets, and that it outlives whoever wrote it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from server.live_file import FILE, MOST_SITES, LiveRun, kept_live
from server.problems import Problem
from server.progress import (
    HospitalDropped,
    HospitalJoined,
    HospitalReplied,
    HospitalsAsked,
    HospitalsRefuse,
    ProblemFound,
    Progress,
    RoundFinished,
    RoundStarted,
    RunFinished,
    RunStarted,
)

SITES = ("a", "b", "c")


@pytest.fixture
def run() -> LiveRun:
    """Whose clock says 1, 2, 3, ... each time that it is asked."""
    times = iter(range(1, 10_000))
    return LiveRun(clock=lambda: float(next(times)))


def states(run: LiveRun) -> dict[str, str]:
    return {name: one.state for name, one in run.sites.items()}


def test_a_round_goes_from_asked_to_replied(run: LiveRun) -> None:
    for event in (HospitalJoined("a", 0), RunStarted("T", 2, SITES, "dice"), RoundStarted(1, ("a", "b"))):
        run.hear(event)
    assert states(run) == {"a": "waiting", "b": "waiting", "c": "idle"}
    run.hear(HospitalsAsked(1, "round", ("a", "b")))
    run.hear(HospitalReplied(1, "b", 2.5, 1000))
    assert states(run) == {"a": "asked", "b": "replied", "c": "idle"}
    assert (run.sites["b"].seconds, run.sites["b"].bytes, run.sites["b"].leg) == (2.5, 1000, "round")


def test_each_leg_of_a_protocol_asks_anew(run: LiveRun) -> None:
    run.hear(RunStarted("T", 2, SITES, "dice"))
    for leg in ("keys", "shares"):
        run.hear(HospitalsAsked(1, leg, ("a", "b")))
        assert states(run)["a"] == "asked"
        assert run.sites["a"].leg == leg
        run.hear(HospitalReplied(1, "a", 1.0, 10))
        assert states(run)["a"] == "replied"


def test_a_dropped_hospital_says_why_until_its_next_round(run: LiveRun) -> None:
    run.hear(RunStarted("T", 2, SITES, "dice"))
    run.hear(HospitalDropped(1, "a", "x" * 9000))
    assert run.sites["a"].state == "dropped"
    assert run.sites["a"].reason == "x" * 400
    run.hear(RoundStarted(2, SITES))
    assert (run.sites["a"].state, run.sites["a"].reason) == ("waiting", "")


def test_the_last_round_is_followed_by_the_evaluation_and_the_end(run: LiveRun) -> None:
    run.hear(RunStarted("T", 2, SITES, "dice"))
    run.hear(RoundFinished({"round": 1}))
    assert run.phase == "training"
    run.hear(RoundFinished({"round": 2}))
    run.hear(HospitalsAsked(2, "evaluate", SITES, "final evaluation"))
    assert (run.phase, run.stage) == ("evaluating", "final evaluation")
    run.hear(ProblemFound(Problem("start", "x")))
    run.hear(RunFinished("completed", "", Path("run")))
    assert run.phase == "over"


def test_of_very_many_hospitals_those_in_trouble_are_written(run: LiveRun) -> None:
    names = tuple(f"hospital-{k:04d}" for k in range(3000))
    run.hear(RunStarted("T", 2, names, "dice"))
    run.hear(HospitalDropped(1, names[-1], "gone"))
    run.hear(HospitalsAsked(1, "round", names[-3:-1]))
    table = run.table()
    assert len(table["sites"]) == MOST_SITES
    assert {*names[-3:]} <= table["sites"].keys()
    assert table["counts"] == {"dropped": 1, "asked": 2, "replied": 0, "waiting": 2997, "idle": 0}


def test_the_last_state_stands_on_the_disk_when_the_run_is_over(tmp_path: Path) -> None:
    progress = Progress()
    with kept_live(tmp_path, progress):
        progress.publish(RunStarted("T", 2, SITES, "dice"))
        for number in range(1, 200):
            progress.publish(RoundStarted(number, SITES))
            progress.publish(HospitalReplied(number, "a", 0.1, 10))
    table = json.loads((tmp_path / FILE).read_text())
    assert table["round"] == 199
    assert table["sites"]["a"]["state"] == "replied"


def test_an_error_of_the_run_passes_and_the_file_is_closed(tmp_path: Path) -> None:
    progress = Progress()
    with pytest.raises(KeyboardInterrupt), kept_live(tmp_path, progress):
        raise KeyboardInterrupt
    assert (tmp_path / FILE).exists()


def test_a_disk_that_does_not_take_it_ends_no_run(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    progress = Progress()
    with kept_live(tmp_path, progress):
        progress.publish(RunStarted("T", 2, SITES, "dice"))
    assert (tmp_path / FILE).is_dir()


def test_whoever_refuses_for_now_is_named_until_the_run_starts(run: LiveRun) -> None:
    run.hear(HospitalsRefuse({"b": "its people have not approved this study"}))
    assert run.table()["refused"] == {"b": "its people have not approved this study"}
    run.hear(HospitalsRefuse({}))
    assert run.table()["refused"] == {}
    run.hear(HospitalsRefuse({"c": "why"}))
    run.hear(RunStarted("T", 2, SITES, "dice"))
    assert run.table()["refused"] == {}
