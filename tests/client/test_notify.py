"""What systemd hears of a node: that it is ready, and that it lives for as long as it does."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from client.fleet.connection import LONGEST_CALL_S
from client.fleet.loop import Loop
from client.fleet.notify import Watchdog, _beat_s, notify
from client.fleet.running import STUCK_S, _lives


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Its end of the channel."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "30000")
        yield end


def loop(answering: bool, turned_s_ago: float, monkeypatch: pytest.MonkeyPatch) -> Loop:
    monkeypatch.setattr("client.fleet.running.monotonic", lambda: 10_000.0)
    return cast(Loop, SimpleNamespace(in_hand=object() if answering else None, seen=10_000.0 - turned_s_ago))


def test_words_arrive_one_a_line(systemd: socket.socket) -> None:
    notify("READY=1", "STATUS=asking")
    assert systemd.recv(100) == b"READY=1\nSTATUS=asking"


def test_a_service_that_lives_says_so_again_and_again(systemd: socket.socket) -> None:
    with Watchdog(lambda: True):
        assert [systemd.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3


def test_a_service_that_is_stuck_says_nothing(systemd: socket.socket) -> None:
    asked = []
    with Watchdog(lambda: bool(asked.append(1)) or len(asked) > 3):
        assert systemd.recv(100) == b"WATCHDOG=1"
    assert len(asked) > 3


@pytest.mark.parametrize(("told", "beat_s"), [("", 10.0), ("300000000", 10.0), ("6000000", 2.0), ("0", 10.0)])
def test_it_is_said_at_least_three_times_within_what_the_service_allows(
    told: str, beat_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", told)
    assert _beat_s() == beat_s


def test_training_for_days_is_no_reason_to_be_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _lives(loop(True, 3 * 86_400.0, monkeypatch))


def test_a_slow_line_is_no_reason_and_a_loop_that_never_turns_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _lives(loop(False, LONGEST_CALL_S + 1, monkeypatch))
    assert not _lives(loop(False, STUCK_S + 1, monkeypatch))


def test_where_nobody_listens_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("READY=1")
