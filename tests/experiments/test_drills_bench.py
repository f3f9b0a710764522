"""The drills' own sums: schedules, what is found lost, and the table's words. The drills themselves take hours."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from client.audit_log import note
from client.ledger import Charge, Ledger
from common.errors import StudyError, UnknownNameError
from common.privacy.release import Release
from experiments.benchmarks import drills
from experiments.benchmarks._drill_checks import lost
from experiments.benchmarks._drill_faults import BOUND_S, DRILLS
from experiments.benchmarks._drill_schedule import Done, done, keep, schedule
from experiments.benchmarks._drill_schedules import Scheduled
from experiments.benchmarks._drill_studies import ALGORITHMS, SITES, drill_study
from experiments.benchmarks._drill_table import ROUNDS, Row
from experiments.benchmarks._drill_way import open_way
from experiments.benchmarks._node_drills import VICTIMS
from experiments.engines._local_grid import hospital_folder
from experiments.engines._quiet import Outcome

KILL = Done(0, "front", "", 1, 1000.0, 12.0)


def test_the_same_seed_gives_the_same_kills_and_a_longer_schedule_begins_with_the_shorter() -> None:
    long = schedule(7, 200, SITES)
    assert schedule(7, 50, SITES) == long[:50] != schedule(8, 50, SITES)
    assert {one.victim for one in long} == set(VICTIMS)
    assert {one.site for one in long if one.victim == "node"} == set(SITES)
    assert all(one.site == "" for one in long if one.victim != "node") and not long[0].close


def test_what_was_done_is_there_for_the_next_call(tmp_path: Path) -> None:
    assert done(tmp_path) == ()
    kills = [KILL, replace(KILL, number=1, stall_s=None)]
    keep(tmp_path, kills)
    assert list(done(tmp_path)) == kills


def test_every_algorithm_is_a_study_of_all_three_hospitals_over_the_same_table(tmp_path: Path) -> None:
    for algorithm in ALGORITHMS:
        study = drill_study(algorithm, tmp_path, "nodes", 4)
        assert (study.rounds, study.engine, study.federation.least_in_sum) == (4, "nodes", len(SITES))
    assert (tmp_path / "data" / "rows.csv").read_text(encoding="utf-8").count("\n") == 181


@pytest.fixture
def undisturbed(tmp_path: Path) -> Outcome:
    """Of two rounds, with all that hospitals have at the end."""
    for site in SITES:
        own = hospital_folder(tmp_path, site)
        own.mkdir(parents=True)
        note(own, "answered", leg="round")
        (own / "models" / "study" / "run").mkdir(parents=True)
        (own / "models" / "study" / "run" / "model.safetensors").touch()
    rounds = [{"round": number, "contributed": list(SITES)} for number in (1, 2)]
    return Outcome(rounds, {}, {}, {})


def test_nothing_is_lost_of_an_undisturbed_run_and_each_loss_is_named(undisturbed: Outcome, tmp_path: Path) -> None:
    assert lost(undisturbed, tmp_path, SITES, 2, False) == ()
    assert lost(undisturbed, tmp_path, SITES, 3, False) == ("3 rounds were asked, and rounds.jsonl has 2",)
    undisturbed.rounds[1]["contributed"].remove("Bonn")
    assert lost(undisturbed, tmp_path, SITES, 2, False) == ("round 2 went without Bonn",)
    own = hospital_folder(tmp_path, "Celle")
    (own / "models" / "study" / "run" / "model.safetensors").unlink()
    (own / "log.jsonl").write_bytes((own / "log.jsonl").read_bytes().replace(b"answered", b"refused!"))
    found = lost(undisturbed, tmp_path, SITES, 2, False)
    assert found[1].startswith("Celle: its log is not whole") and found[2] == "Celle: it was not handed the model"


def test_a_round_that_is_charged_twice_or_not_at_all_is_found(undisturbed: Outcome, tmp_path: Path) -> None:
    for site, rounds in zip(SITES, ((1, 2), (1, 1), (2,)), strict=True):
        for number in rounds:
            release = Release(1.0, 1.0, 1)
            charge = Charge("a" * 64, "t", number, "patient", 1e-3, (release,), ("P1",))
            Ledger(hospital_folder(tmp_path, site)).spend(charge)
    assert lost(undisturbed, tmp_path, SITES, 2, True) == (
        "Bonn: round 1 was charged 2 times",
        "Bonn: round 2 was charged 0 times",
        "Celle: round 1 was charged 0 times",
    )


def test_a_row_holds_only_where_nothing_was_lost_and_nobody_waited_too_long() -> None:
    good = Row(DRILLS[0], ROUNDS, True, stall_s=BOUND_S)
    assert good.holds and good.cells()["lost"] == "nothing" and good.cells()["model"] == "same"
    bad: tuple[dict[str, Any], ...] = ({"rounds": 5}, {"same": False}, {"lost": ("x",)}, {"stall_s": BOUND_S + 0.1})
    for change in bad:
        assert not replace(good, **change).holds
    assert replace(good, same=None).holds, "where noise is secret"


def test_stalls_are_counted_by_the_program_that_was_killed_without_a_usual_round() -> None:
    kills = (KILL, replace(KILL, stall_s=BOUND_S + 2.5), replace(KILL, victim="node", stall_s=None))
    run = Scheduled("plain", kills, 3, "completed", 1, 6, True, (), 2.0)
    assert run.stalls["front"] == [10.0, BOUND_S + 0.5] and run.stalls["node"] == []
    assert run.too_long == {"front": 1} and run.holds
    assert run.cells()["kills"] == "3/3" and not replace(run, state="unfinished").holds


def test_names_of_drills_and_their_faults_are_distinct_and_a_wrong_word_is_answered_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert len({one.name for one in DRILLS}) == len(DRILLS)
    monkeypatch.setenv("WARDROUND_DRILLS", "secag")
    with pytest.raises(UnknownNameError, match="did you mean 'secagg'"):
        drills._which()
    monkeypatch.setenv("WARDROUND_DRILLS_KILLS", "none")
    with pytest.raises(StudyError, match="WARDROUND_DRILLS_KILLS must be a number above 0"):
        drills._number("WARDROUND_DRILLS_KILLS", 50)


def test_a_way_that_is_cut_says_nothing_and_passes_again_once_it_is_mended() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, open_way() as way:
        threading.Thread(target=_echo, args=(listening,), daemon=True).start()
        address = listening.getsockname()
        with _through(way.address, address) as first:
            assert _said(first, b"1") == b"1"
            way.cut()
            first.sendall(b"2")
            first.settimeout(0.3)
            with pytest.raises(TimeoutError):
                first.recv(1)
            way.mend()
        with _through(way.address, address) as second:
            assert _said(second, b"3") == b"3"


def _echo(listening: socket.socket) -> None:
    while True:
        try:
            near, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_say_back, args=(near,), daemon=True).start()


def _say_back(near: socket.socket) -> None:
    with near:
        while word := near.recv(1):
            near.sendall(word)


def _through(way: str, address: tuple[str, int]) -> socket.socket:
    host, port = way.removeprefix("http://").split(":")
    made = socket.create_connection((host, int(port)), 60)
    made.sendall(f"CONNECT {address[0]}:{address[1]} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += made.recv(1)
    assert b" 200 " in answer
    return made


def _said(there: socket.socket, word: bytes) -> bytes:
    there.sendall(word)
    return there.recv(1)
