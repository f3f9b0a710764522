"""What a supervisor bears: a SuperLink that takes long to start, one that is deaf, and a disk that is full."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, cast

import pytest

from common.errors import FileError
from experiments.coordinator import serving
from experiments.coordinator.serving import ASK_LINK_EVERY_S, DEAF_TIMES, Serving
from experiments.coordinator.settings import LinkSettings

START_S = 600.0


@dataclass(frozen=True)
class Named:
    name: str


@dataclass
class Program:
    """As `SupervisedProgram` is seen from there."""

    pid: int | None = 7
    program: Named = Named("superlink")
    restarts: int = 0
    age_s: float = 0.0
    kills: int = 0
    refuses: bool = False

    def look(self) -> None: ...

    def kill(self) -> None:
        self.kills += 1
        self.pid, self.age_s = 8, 0.0


@dataclass
class Link:
    hears: bool = False
    port: int = 1
    settings: LinkSettings = field(default_factory=lambda: LinkSettings(start_timeout_s=START_S))

    def is_up(self) -> bool:
        return self.hears


def looked(program: Program, link: Link, times: int, monkeypatch: pytest.MonkeyPatch, served: Any = None) -> Serving:
    made = served or Serving(
        Path(), cast(Any, link), cast(Any, [program]), cast(Any, None), Event(), _said_at=float("inf"), _asked_at=0.0
    )
    now = made._asked_at
    for _ in range(times):
        now += ASK_LINK_EVERY_S + 0.1
        program.age_s += ASK_LINK_EVERY_S + 0.1
        monkeypatch.setattr(serving, "monotonic", lambda now=now: now)
        made.look()
    return made


def test_a_superlink_that_takes_minutes_to_start_is_let_start(monkeypatch: pytest.MonkeyPatch) -> None:
    program, link = Program(), Link()
    looked(program, link, 5 * DEAF_TIMES, monkeypatch)
    assert program.kills == 0


def test_a_superlink_that_never_starts_is_killed_after_the_time_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    program, link = Program(), Link()
    looked(program, link, int(START_S / ASK_LINK_EVERY_S) + DEAF_TIMES, monkeypatch)
    assert program.kills == 1


def test_a_superlink_that_was_heard_and_is_deaf_is_killed_within_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    program, link = Program(), Link(hears=True)
    served = looked(program, link, 3, monkeypatch)
    link.hears = False
    looked(program, link, DEAF_TIMES, monkeypatch, served)
    assert program.kills == 1
    looked(program, link, DEAF_TIMES, monkeypatch, served)
    assert program.kills == 1, "the one in its place is starting"


def test_a_full_disk_ends_no_supervisor_and_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    full = [True]

    def write(folder: Path, name: str, value: object) -> None:
        if full:
            raise FileError(folder / name, "cannot be used: No space left on device")
        written.append(name)

    written: list[str] = []
    monkeypatch.setattr(serving, "write_json", write)
    link = Link(hears=True)
    served = Serving(tmp_path, cast(Any, link), cast(Any, [Program()]), cast(Any, None), Event())
    served.look()
    served._said_at = float("-inf")
    served.look()
    assert written == [] and caplog.text.count("which is waited for") == 1
    full.clear()
    served._said_at = float("-inf")
    served.look()
    assert written == ["link/supervisor.json"]
