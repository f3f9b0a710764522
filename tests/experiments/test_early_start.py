"""What makes the first round show sooner: the fork server begins early, the pooled bar late."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path
from threading import Event

import pytest

from common.errors import StudyError
from common.study.study import Study
from experiments.commands import runs
from experiments.engines import _fork_server
from experiments.running.later import Later


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    heard: list[str] = []
    monkeypatch.setattr(_fork_server, "begin_early", lambda: heard.append("begin"))
    monkeypatch.setattr(_fork_server, "end", lambda: heard.append("end"))
    return heard


def test_the_demo_starts_early(said: list[str]) -> None:
    with runs._starting_early("demo", []):
        assert said == ["begin"]
    assert said == ["begin"]


def test_a_study_that_is_refused_leaves_nothing_behind(said: list[str]) -> None:
    with pytest.raises(StudyError), runs._starting_early("demo", ["rounds=-1"]):
        raise StudyError("no")
    assert said == ["begin", "end"]


@pytest.mark.parametrize(("study", "overrides"), [("mnist", []), ("demo", ["engine=inline"])])
def test_a_study_with_a_pool_or_another_engine_does_not(said: list[str], study: str, overrides: list[str]) -> None:
    with runs._starting_early(study, overrides):
        assert said == []


def test_something_begins_once_its_time_has_come() -> None:
    come, begun = Event(), Event()
    later = Later(lambda: begun.set() or "it", come.is_set)
    assert not begun.wait(0.2)
    come.set()
    assert begun.wait(60)
    assert later.begun() == later.stopped() == "it"


def test_something_whose_time_never_came_begins_when_it_is_asked_for() -> None:
    assert Later(lambda: "it", lambda: False).begun() == "it"
    assert Later(lambda: "it", lambda: False).stopped() is None


def test_what_failed_on_its_own_thread_is_told_to_whoever_asks() -> None:
    failed = Event()

    def failing() -> Callable[[], None]:
        failed.set()
        raise StudyError("no room")

    later = Later(failing, lambda: True)
    assert failed.wait(60)
    with pytest.raises(StudyError, match="no room"):
        later.begun()


def test_hospitals_are_forked_by_no_process_that_was_started_with_other_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny: Callable[..., Study]
) -> None:
    stopped: list[str] = []
    monkeypatch.setattr(forkserver._forkserver, "_stop", lambda: stopped.append("stop"))  # type: ignore[attr-defined]
    monkeypatch.setattr(_fork_server._Held, "settings", None)
    monkeypatch.setattr(_fork_server._Held, "pool", "")
    for prepared, times in (("here", 1), ("here", 1), ("there", 2)):
        monkeypatch.setenv("WARDROUND_PREPARED", prepared)
        _fork_server.fork_context(tiny(), tmp_path)
        assert len(stopped) == times
