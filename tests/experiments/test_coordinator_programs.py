"""Programs are kept running, with pauses that grow, and everything is ended with whoever keeps them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import psutil
import pytest

from experiments.coordinator import supervision
from experiments.coordinator.supervision import MARK, PAUSES_S, Program, SupervisedProgram, end_all, end_orphans

LONGEST_S = 60.0


@dataclass
class Time:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Callable[..., SupervisedProgram]]:
    made: list[SupervisedProgram] = []

    def kept(code: str, clock: Callable[[], float] = monotonic) -> SupervisedProgram:
        environment = {**os.environ, MARK: str(tmp_path)}
        made.append(SupervisedProgram(Program("one", ["sh", "-c", code], environment, tmp_path), tmp_path, clock))
        return made[-1]

    yield kept
    end_all(made)


def until(happened: Callable[[], object]) -> None:
    deadline = monotonic() + LONGEST_S
    while not happened():
        assert monotonic() < deadline
        sleep(0.01)


def ended(one: SupervisedProgram) -> bool:
    return one.process is not None and one.process.poll() is not None


def test_a_program_that_ends_is_started_again_after_pauses_that_grow_to_a_bound(
    keep: Callable[..., SupervisedProgram],
) -> None:
    time = Time()
    one = keep("exit 3", time)
    one.start()
    waited = []
    for _ in range(len(PAUSES_S) + 2):
        until(lambda: ended(one))
        one.look()
        begin = time.now
        while one.process is None:
            one.look()
            time.now += 0.5 if one.process is None else 0.0
        waited.append(time.now - begin)
    assert waited == [*PAUSES_S, PAUSES_S[-1], PAUSES_S[-1]]
    assert one.restarts == len(waited)


def test_after_it_was_well_for_a_while_it_is_started_at_once(keep: Callable[..., SupervisedProgram]) -> None:
    time = Time()
    one = keep("exit 3", time)
    one.start()
    one.ends = 5
    until(lambda: ended(one))
    time.now += supervision.HEALTHY_S + 1
    one.look()
    one.look()
    assert one.process is not None


def test_a_program_that_says_it_will_never_start_is_told_apart(keep: Callable[..., SupervisedProgram]) -> None:
    one = keep("echo there is no certificate; exit 78")
    one.start()
    until(lambda: ended(one))
    one.look()
    assert one.refuses and one.last_words() == "there is no certificate"


def test_a_program_is_ended_with_what_it_started_and_left_behind(
    keep: Callable[..., SupervisedProgram], tmp_path: Path
) -> None:
    one = keep("(trap '' TERM; echo $$ > /dev/null; sleep 300) & (sleep 300 &) ; sleep 300")
    one.start()
    until(lambda: sum(_is_marked(process, tmp_path) for process in psutil.process_iter()) >= 4)
    supervision.END_S, before = 0.5, supervision.END_S
    try:
        end_all([one])
    finally:
        supervision.END_S = before
    assert not any(_is_marked(process, tmp_path) for process in psutil.process_iter())


def test_what_a_killed_supervisor_left_is_ended_by_the_next_and_nothing_else(
    keep: Callable[..., SupervisedProgram], tmp_path: Path
) -> None:
    one = keep("sleep 300")
    one.start()
    stranger = psutil.Popen(["sleep", "300"], env={**os.environ, MARK: str(tmp_path / "other")})
    try:
        assert end_orphans(tmp_path) >= 1
        until(lambda: ended(one))
        assert stranger.is_running()
    finally:
        stranger.kill()
        stranger.wait()


def test_a_program_that_cannot_be_started_again_now_is_tried_later(
    keep: Callable[..., SupervisedProgram], monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time()
    one = keep("exit 1", time)
    one.start()
    until(lambda: ended(one))
    one.look()
    with monkeypatch.context() as without_memory:
        without_memory.setattr(SupervisedProgram, "start", lambda self: (_ for _ in ()).throw(OSError("no memory")))
        one.look()
        one.look()
    assert one.process is None and one.restarts == 1
    time.now += PAUSES_S[-1]
    one.look()
    assert one.process is not None and one.restarts == 2


def test_a_log_is_bounded_and_its_last_part_is_kept(
    keep: Callable[..., SupervisedProgram], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "LARGEST_LOG_BYTES", 1000)
    time = Time()
    one = keep(f"{sys.executable} -c 'print(\"line \" * 400)'; echo whole; sleep 300", time)
    one.start()
    until(lambda: b"whole" in (tmp_path / "one.log").read_bytes())
    one.look()
    assert (tmp_path / "one.log").stat().st_size == 0
    assert (tmp_path / "one.log.1").stat().st_size > 1000


def _is_marked(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == str(folder)
    except (psutil.Error, OSError):
        return False
