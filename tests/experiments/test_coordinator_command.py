"""`submit`, `status` and `stop` in a coordinator's folder: what they say, and with which code they exit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import EngineError, FileError
from common.files.json_files import write_json
from experiments.coordinator import front_process
from experiments.coordinator.job_queue import JobQueue, Standing
from experiments.coordinator.jobs import await_end
from experiments.coordinator.settings import SERVING, SUPERVISOR
from server.front.settings import FrontSettings

Wardround = Callable[..., tuple[int, str]]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "server.toml").write_text("[link]\nport = 0\n")
    return tmp_path


def test_a_study_is_put_into_the_queue_with_a_run_folder_of_its_own(wardround: Wardround, place: Path) -> None:
    for number in ("1", "2"):
        code, said = wardround("submit", "demo", "--folder", str(place), "--set", "rounds=2")
        assert code == 0 and f"Job {number}: demo, into" in said
    jobs = JobQueue(place).jobs()
    assert len({job.folder for job in jobs}) == 2 and all(Path(job.folder).is_dir() for job in jobs)
    assert "rounds = 2" in jobs[0].study and jobs[0].study == jobs[1].study


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["submit", "dmeo"], "did you mean 'demo'"),
        (["submit", "demo", "--set", "ronuds=2"], "rounds"),
        (["submit"], "name a study, or a run"),
        (["submit", "demo", "--resume", "x"], "not both"),
        (["submit", "--resume", "nowhere"], "not a run folder"),
        (["stop", "7"], "there is no job '7'"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_queued(
    wardround: Wardround, place: Path, arguments: list[str], said: str
) -> None:
    code, found = wardround(*arguments, "--folder", str(place))
    assert code == 1 and said in " ".join(found.split())
    assert JobQueue(place).ids() == []


@pytest.mark.parametrize("command", [["submit", "demo"], ["status"], ["stop", "1"]])
def test_a_folder_that_is_no_coordinators_is_refused(
    wardround: Wardround, tmp_path: Path, command: list[str]
) -> None:
    code, said = wardround(*command, "--folder", str(tmp_path / "other"))
    assert code == 1 and "consortium create" in said
    (tmp_path / "other").mkdir()
    code, said = wardround(*command, "--folder", str(tmp_path / "other"))
    assert code == 1 and "no coordinator's folder" in " ".join(said.split())
    assert not list((tmp_path / "other").iterdir())


def test_a_run_is_gone_on_with_once_at_a_time(wardround: Wardround, place: Path) -> None:
    run = place / "runs" / "heart" / "then"
    run.mkdir(parents=True)
    (run / "study.toml").write_text('title = "Heart"\n')
    assert wardround("submit", "--resume", str(run), "--folder", str(place))[0] == 0
    (job,) = JobQueue(place).jobs()
    assert (job.name, job.resume, job.folder) == ("heart", True, str(run))
    code, said = wardround("submit", "--resume", str(run), "--folder", str(place))
    assert code == 1 and "job 1 is on" in said


def test_a_job_is_stopped_by_its_number_and_not_twice_once_it_is_over(wardround: Wardround, place: Path) -> None:
    wardround("submit", "demo", "--folder", str(place))
    assert wardround("stop", "1", "--folder", str(place))[0] == 0
    queue = JobQueue(place)
    assert queue.is_to_stop(queue.job("1"))
    queue.keep(queue.job("1"), Standing("stopped"))
    code, said = wardround("stop", "1", "--folder", str(place))
    assert code == 1 and "stopped already" in said


def test_status_says_that_nothing_runs_and_exits_with_1(wardround: Wardround, place: Path) -> None:
    wardround("submit", "demo", "--folder", str(place))
    code, said = wardround("status", "--folder", str(place))
    assert code == 1 and "Not served" in said and "job 1 (demo): waiting" in said
    code, said = wardround("status", "--folder", str(place), "--json")
    found = json.loads(said)
    assert code == 1 and not found["up"] and found["jobs"][0]["state"] == "waiting"


def test_what_a_crash_of_the_machine_left_is_not_taken_for_programs(wardround: Wardround, place: Path) -> None:
    programs = {name: {"pid": os.getpid(), "restarts": 0} for name in ("superlink", "superexec", "front")}
    write_json(place, SUPERVISOR, {"pid": os.getpid(), "port": 1, "programs": programs})
    (place / SERVING).touch()
    code, said = wardround("status", "--folder", str(place))
    assert code == 1 and "Not served" in said and "front: not running" in said


@pytest.mark.parametrize(
    ("standing", "code"),
    [
        (Standing("stopped", reason="too few hospitals", code=1), 1),
        (Standing("failed", reason="it was given up", code=1), 1),
        (Standing("completed", code=0), 0),
        (Standing("completed", code=3), 3),
    ],
)
def test_waiting_exits_as_a_run_does(
    place: Path, standing: Standing, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "experiments.running.spoken_losses.last_lines", lambda folder: (["the last line"], standing.code)
    )
    queue = JobQueue(place)
    job = queue.submit("heart", "", place)
    queue.keep(job, replace(standing, attempts=("2026-11-27T10:00:00+00:00",) * 2))
    said: list[str] = []
    assert await_end(place, job, said.extend) == code
    assert "attempt 2" in said[0] and (standing.reason in said[0])


def test_a_folder_is_served_by_one_process(wardround: Wardround, place: Path) -> None:
    from common.files.locks import held

    with held(place, SERVING, "is held by this test"):
        code, said = wardround("server", "up", "--folder", str(place))
    assert code == 1 and "another process" in " ".join(said.split())


def test_a_server_toml_that_cannot_be_exits_with_78(wardround: Wardround, place: Path) -> None:
    (place / "server.toml").write_text("[link]\nport = -1\n")
    assert wardround("server", "up", "--folder", str(place))[0] == 78


def test_a_front_whose_disk_is_full_fails_for_now_and_not_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path, name: str, table: object) -> None:
        raise FileError(folder / name, "cannot be written: no space is left")

    monkeypatch.setattr(front_process, "write_json", full)
    with pytest.raises(EngineError, match="no space is left"):
        front_process._tell(tmp_path, FrontSettings(), 8443)
