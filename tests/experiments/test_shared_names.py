"""Two that start at once: each has a folder of its own, and one folder is used by one at a time."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from threading import Event as Flag

import pytest
from rich.console import Console

from common.errors import FileError, StudyError
from common.files.locks import held
from common.study.study import Study
from experiments.datasets import fetch_with_progress
from experiments.running.run import run_study
from server.app import new_default_folder, progress
from server.progress import Event, RoundFinished


def test_folders_asked_for_at_once_are_as_many(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WARDROUND_RUNS", str(tmp_path / "runs"))
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(lambda _: new_default_folder("study"), range(24)))
    assert len(folders) == 24
    assert set((tmp_path / "runs" / "study").iterdir()) == folders


def test_a_second_run_in_a_folder_that_is_in_use_is_refused_and_so_is_a_second_resume(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    refused: list[str] = []

    def start_another(event: Event) -> None:
        if isinstance(event, RoundFinished) and len(refused) < 2:
            for resume in (False, True):
                with pytest.raises(FileError, match="is in use by another run") as caught:
                    run_study(tiny("seed=2"), "tiny", tmp_path / "run", resume)
                refused.append(str(caught.value))

    progress.subscribe(start_another)
    try:
        run_study(tiny("rounds=2"), "tiny", tmp_path / "run")
    finally:
        progress._subscribers.remove(start_another)
    assert len(refused) == 2
    assert len((tmp_path / "run" / "rounds.jsonl").read_text().splitlines()) == 2
    with pytest.raises(StudyError, match="already holds a run; resume it with"):
        run_study(tiny("rounds=2"), "tiny", tmp_path / "run")


def hold(folder: str, name: str) -> None:
    with held(Path(folder), name, "is in use"):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_lock_ends_with_its_holder_however_that_ends(tmp_path: Path) -> None:
    process = get_context("fork").Process(target=hold, args=(str(tmp_path), "lock"))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    assert (tmp_path / "lock").exists()
    with (
        held(tmp_path, "lock", "is in use"),
        pytest.raises(FileError, match="is in use"),
        held(tmp_path, "lock", "is in use"),
    ):
        pass


def test_who_waits_for_a_lock_is_told_and_then_has_it(tmp_path: Path) -> None:
    told, order = Flag(), []

    def second() -> None:
        with held(tmp_path, "lock", "", told.set):
            order.append("second")

    with ThreadPoolExecutor(1) as pool:
        with held(tmp_path, "lock", "is in use"):
            done = pool.submit(second)
            assert told.wait(60)
            order.append("first")
        done.result()
    assert order == ["first", "second"]


def test_what_needs_no_download_leaves_no_folder(tmp_path: Path) -> None:
    assert "no download" in fetch_with_progress("phantom", tmp_path / "data", Console(quiet=True))
    assert not (tmp_path / "data").exists()
