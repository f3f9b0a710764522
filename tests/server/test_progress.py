"""Events of a run and who hears them."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError

import pytest

from server.progress import Event, HospitalDropped, HospitalReplied, Progress, RoundStarted

STARTED = RoundStarted(1, ("oslo",))
DROPPED = HospitalDropped(1, "oslo", "no reply in 60 s")


def test_every_subscriber_hears_every_event_in_order() -> None:
    progress, first, second = Progress(), list[Event](), list[Event]()
    progress.subscribe(first.append)
    progress.subscribe(second.append)
    progress.publish(STARTED)
    progress.publish(DROPPED)
    assert first == second == [STARTED, DROPPED]


def test_a_late_subscriber_hears_only_what_follows() -> None:
    progress, heard = Progress(), list[Event]()
    progress.publish(STARTED)
    progress.subscribe(heard.append)
    progress.publish(DROPPED)
    assert heard == [DROPPED]


def test_a_subscriber_that_raises_is_logged_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    calls = []

    def broken(event: Event) -> None:
        calls.append(event)
        raise RuntimeError("the terminal is gone")

    progress, heard = Progress(), list[Event]()
    progress.subscribe(broken)
    progress.subscribe(heard.append)
    with caplog.at_level(logging.ERROR, logger="wardround.progress"):
        progress.publish(STARTED)
        progress.publish(DROPPED)
    assert heard == [STARTED, DROPPED]
    assert calls == [STARTED]
    assert "RoundStarted" in caplog.text and "the terminal is gone" in caplog.text


def test_an_interrupt_in_a_subscriber_is_not_swallowed() -> None:
    def interrupted(event: Event) -> None:
        raise KeyboardInterrupt

    progress = Progress()
    progress.subscribe(interrupted)
    with pytest.raises(KeyboardInterrupt):
        progress.publish(STARTED)


def test_events_of_many_threads_arrive_one_at_a_time() -> None:
    inside, overlaps, heard = [], [], []

    def count(event: Event) -> None:
        inside.append(event)
        overlaps.append(len(inside))
        heard.append(event)
        inside.pop()

    progress = Progress()
    progress.subscribe(count)
    events = [HospitalReplied(1, f"site-{k}", 0.5, 100) for k in range(200)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(progress.publish, events))
    assert set(overlaps) == {1}
    assert sorted(heard, key=str) == sorted(events, key=str)


def test_an_event_cannot_be_changed_by_who_hears_it() -> None:
    with pytest.raises(FrozenInstanceError):
        DROPPED.reason = "nothing happened"  # type: ignore[misc]
