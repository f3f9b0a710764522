"""Jobs are brought to their end through every end of a program on the way, one after the other, and with a bound."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from typing import Any

import pytest

from common.errors import EngineError, FileError, StudyError
from common.files.json_files import read_table, write_json
from experiments.coordinator import attempts, conducting
from experiments.coordinator.conducting import STOPPED_BY_HAND, Conducting
from experiments.coordinator.job_queue import Job, JobQueue, Standing
from experiments.coordinator.settings import JobSettings, read_jobs, read_link
from server.run_lock import say_so

Play = Callable[["Flower", Job], None]
APP = ["bash", "-c", "exec -a flwr-serverapp sleep 300"]


@dataclass
class Flower:
    """A SuperLink and its server app, which does what each play says, and then what the last one does."""

    queue: JobQueue
    plays: list[Play]
    ran: list[dict[str, Any]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    apps: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def say(self, *words: str, longest_s: float = 0) -> dict[str, Any]:
        if words[0] == "run":
            return {"run-id": self._run(Path(words[4]))}
        if words[0] == "stop":
            self.stopped.append(words[1])
            self.end_apps()
        if words[0] == "ls":
            return {"runs": [{"run-id": one, "status": "running"} for one in self.unfinished]}
        return {}

    def say_each(self, commands: list[tuple[str, ...]], longest_s: float) -> list[dict[str, Any]]:
        return [self.say(*words) for words in commands]

    def _run(self, config: Path) -> str:
        import tomllib

        self.ran.append(tomllib.loads(config.read_text()))
        self.plays[min(len(self.ran), len(self.plays)) - 1](self, self.job)
        return self.run_id

    @property
    def job(self) -> Job:
        return next(job for job in self.queue.jobs() if job.folder == self.ran[-1]["run-folder"])

    @property
    def run_id(self) -> str:
        return f"run {len(self.ran)}"

    def conduct(self, lives: bool = False) -> None:
        app = subprocess.Popen(APP)
        self.apps.append(app)
        write_json(Path(self.job.folder), "conducted.json", {"pid": app.pid, "run": self.run_id})
        if not lives:
            self.end_apps()

    def end_apps(self) -> None:
        for app in self.apps:
            app.kill()
            app.wait()


def about(job: Job, **facts: Any) -> None:
    write_json(Path(job.folder), "about.json", facts)


def crashes(flower: Flower, job: Job) -> None:
    about(job, state="running", rounds_done=0)
    flower.conduct()


def crashes_a_round_later(flower: Flower, job: Job) -> None:
    about(job, state="running", rounds_done=0)
    with (Path(job.folder) / "rounds.jsonl").open("a") as rounds:
        rounds.write("{}\n")
    (Path(job.folder) / "checkpoint").mkdir(exist_ok=True)
    (Path(job.folder) / "checkpoint" / "last.safetensors").touch()
    flower.conduct()


def is_interrupted(flower: Flower, job: Job) -> None:
    about(job, state="failed", reason="SystemExit", rounds_done=1)
    flower.conduct()


def stops(flower: Flower, job: Job) -> None:
    about(job, state="stopped", reason="too few hospitals", rounds_done=2)
    flower.conduct()


def completes(flower: Flower, job: Job) -> None:
    about(job, state="completed", reason="", rounds_done=3)
    flower.conduct()


def goes_on(flower: Flower, job: Job) -> None:
    about(job, state="running", rounds_done=0)
    flower.conduct(lives=True)


@dataclass
class Link:
    folder: Path
    home: Path
    flower: Flower
    up: bool = True

    def is_up(self) -> bool:
        return self.up


@dataclass
class Time:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Given(Event):
    """Waiting makes time pass, and nothing else."""

    def __init__(self, time: Time) -> None:
        super().__init__()
        self._passing = time

    def wait(self, timeout: float | None = None) -> bool:
        self._passing.now += timeout or 0.0
        return self.is_set()


Served = Callable[..., tuple[JobQueue, Flower, Conducting]]


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    made: list[Flower] = []
    monkeypatch.setattr(attempts, "bundle", lambda place: place.mkdir(parents=True))
    monkeypatch.setattr("experiments.running.spoken_losses.last_lines", lambda folder: ([], 3))

    def serve(*plays: Play, **limits: float) -> tuple[JobQueue, Flower, Conducting]:
        queue, time = JobQueue(tmp_path), Time()
        made.append(Flower(queue, list(plays)))
        (tmp_path / "link").mkdir(exist_ok=True)
        link = Link(tmp_path, tmp_path / "link", made[-1])
        settings = JobSettings(**limits)  # type: ignore[arg-type]
        return queue, made[-1], Conducting(tmp_path, link, settings, queue, Given(time), time)  # type: ignore[arg-type]

    yield serve
    for flower in made:
        flower.end_apps()


def submit(queue: JobQueue, folder: Path, name: str = "heart") -> Job:
    (folder / name).mkdir(exist_ok=True)
    return queue.submit(name, 'title = "Heart"\nrounds = 3\n', folder / name)


def step(one: Conducting) -> None:
    one._step()


def test_a_run_that_completes_ends_its_job_with_the_exit_code_of_a_run(served: Served, tmp_path: Path) -> None:
    queue, flower, one = served(completes)
    job = submit(queue, tmp_path)
    step(one)
    assert queue.standing(job) == Standing("completed", "run 1", queue.standing(job).attempts, "", 3)
    assert flower.ran[0]["nodes"] is True and flower.ran[0]["resume"] is False


def test_a_server_app_that_is_gone_without_a_word_is_begun_again_where_it_was(served: Served, tmp_path: Path) -> None:
    queue, flower, one = served(crashes_a_round_later, crashes_a_round_later, is_interrupted, completes)
    job = submit(queue, tmp_path)
    step(one)
    assert queue.standing(job).state == "completed"
    assert [ran["resume"] for ran in flower.ran] == [False, True, True, True]
    assert len(queue.standing(job).attempts) == 4
    assert flower.stopped == ["run 1", "run 2", "run 3"]


def test_a_study_that_cannot_go_on_is_not_begun_again(served: Served, tmp_path: Path) -> None:
    queue, flower, one = served(stops)
    job = submit(queue, tmp_path)
    step(one)
    found = queue.standing(job)
    assert (found.state, found.reason, found.code) == ("stopped", "too few hospitals", 1)
    assert len(flower.ran) == 1


def test_crashes_without_a_round_between_them_end_the_job(served: Served, tmp_path: Path) -> None:
    queue, flower, one = served(crashes, restarts_without_progress=4)
    job = submit(queue, tmp_path)
    step(one)
    assert queue.standing(job).state == "failed" and "crashed 5 times after round 0" in queue.standing(job).reason
    assert len(flower.ran) == 5


def test_crashes_with_progress_are_bounded_within_a_time(served: Served, tmp_path: Path) -> None:
    queue, flower, one = served(crashes_a_round_later, restarts=7)
    job = submit(queue, tmp_path)
    one.now = lambda: __import__("time").time()
    step(one)
    assert queue.standing(job).state == "failed" and "crashed 8 times" in queue.standing(job).reason
    assert len(flower.ran) == 8


def test_jobs_run_in_the_order_in_which_they_were_asked_for(served: Served, tmp_path: Path) -> None:
    queue, flower, one = served(completes, stops, completes)
    jobs = [submit(queue, tmp_path, name) for name in ("c", "a", "b")]
    for _ in jobs:
        step(one)
    assert [ran["study-name"] for ran in flower.ran] == ["c", "a", "b"]
    assert [queue.standing(job).state for job in jobs] == ["completed", "stopped", "completed"]


def test_a_job_is_stopped_while_it_waits_and_while_it_runs(served: Served, tmp_path: Path) -> None:
    queue, flower, one = served(lambda flower, job: (goes_on(flower, job), queue.stop(job))[0])
    waiting, running = submit(queue, tmp_path, "waiting"), submit(queue, tmp_path, "running")
    queue.stop(waiting)
    step(one)
    step(one)
    assert [queue.standing(job).state for job in (waiting, running)] == ["stopped", "stopped"]
    assert {queue.standing(job).reason for job in (waiting, running)} == {STOPPED_BY_HAND}
    assert [ran["study-name"] for ran in flower.ran] == ["running"] and flower.stopped == ["run 1"]


def test_a_job_that_waits_is_stopped_at_once_while_another_runs(served: Served, tmp_path: Path) -> None:
    queue, _, one = served(goes_on)
    running, waiting = submit(queue, tmp_path, "running"), submit(queue, tmp_path, "waiting")
    queue.stop(waiting)
    with ThreadPoolExecutor(1) as pool:
        conducted = pool.submit(step, one)
        deadline = monotonic() + 60
        while not queue.standing(waiting).is_over and monotonic() < deadline:
            sleep(0.02)
        found = queue.standing(running).state, queue.standing(waiting).state
        one.given_up.set()
        conducted.result()
    assert found == ("running", "stopped")


def test_a_job_goes_on_after_its_supervisor_was_killed(served: Served, tmp_path: Path) -> None:
    queue, flower, one = served(lambda flower, job: (goes_on(flower, job), one.given_up.set())[0])
    job = submit(queue, tmp_path)
    step(one)
    assert queue.standing(job).state == "running"
    flower.end_apps()
    queue, flower, another = served(crashes, completes)
    flower.unfinished = ["run 1"]
    attempts.end_unfinished(another.link)
    step(another)
    assert queue.standing(job).state == "completed" and flower.stopped[0] == "run 1"


def test_a_run_that_ended_while_nobody_watched_is_not_begun_again(served: Served, tmp_path: Path) -> None:
    queue, flower, one = served(lambda flower, job: (goes_on(flower, job), one.given_up.set())[0])
    job = submit(queue, tmp_path)
    step(one)
    about(job, state="completed", reason="", rounds_done=3)
    flower.end_apps()
    queue, flower, another = served(crashes)
    step(another)
    assert queue.standing(job).state == "completed" and not flower.ran


def test_a_superlink_that_is_gone_is_asked_again_and_one_that_takes_no_run_is_not_for_ever(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, flower, one = served(completes)
    job = submit(queue, tmp_path)
    monkeypatch.setattr(flower, "_run", lambda config: (_ for _ in ()).throw(EngineError("no run was taken")))
    one.link.up = False  # type: ignore[attr-defined]
    with pytest.raises(EngineError, match="no run"):
        step(one)
    assert not queue.standing(job).is_over
    one.link.up = True  # type: ignore[attr-defined]
    step(one)
    assert queue.standing(job).state == "failed" and "no run was taken" in queue.standing(job).reason


def test_a_server_app_that_never_begins_is_a_crash(served: Served, tmp_path: Path) -> None:
    queue, flower, one = served(lambda flower, job: None, restarts_without_progress=1)
    job = submit(queue, tmp_path)
    step(one)
    assert "no server app began" in queue.standing(job).reason
    assert set(flower.stopped) == {"run 1", "run 2"}


def test_a_run_that_began_on_a_full_disk_is_watched_and_not_begun_twice(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, flower, one = served(completes)
    job = submit(queue, tmp_path)
    keep, full = JobQueue.keep, iter([True, True, False, False])

    def kept(self: JobQueue, job: Job, standing: Standing) -> None:
        if next(full, False):
            raise FileError(tmp_path, "cannot be used: No space left on device")
        keep(self, job, standing)

    monkeypatch.setattr(JobQueue, "keep", kept)
    step(one)
    assert (queue.standing(job).state, len(flower.ran)) == ("completed", 1)


def finds_no_room(flower: Flower, job: Job) -> None:
    about(job, state="stopped", reason="/r/rounds.jsonl cannot be used: No space left on device.", rounds_done=1)
    flower.conduct()


def test_a_run_that_a_full_disk_stopped_goes_on_once_there_is_room(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    queue, flower, one = served(finds_no_room, completes, restarts_without_progress=1)
    job = submit(queue, tmp_path)
    looks = iter([False, *[True] * 1000])
    monkeypatch.setattr(attempts, "lacks_room", lambda job: next(looks, False))
    step(one)
    assert (queue.standing(job).state, len(flower.ran)) == ("completed", 2)
    assert caplog.text.count("waits: the disk of") == 1


def test_a_damaged_job_holds_up_no_other(served: Served, tmp_path: Path) -> None:
    queue, _, one = served(completes)
    damaged, empty, whole = submit(queue, tmp_path, "a"), submit(queue, tmp_path, "b"), submit(queue, tmp_path, "c")
    (tmp_path / "queue" / damaged.id / "state.json").write_text("{")
    (tmp_path / "queue" / empty.id / "job.json").unlink()
    step(one)
    assert queue.standing(whole).state == "completed"


def test_of_many_who_submit_at_once_each_has_a_job_of_its_own(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda number: JobQueue(tmp_path).submit(f"s{number}", "", tmp_path), range(16)))
    assert sorted(job.id for job in jobs) == [f"{number:06d}" for number in range(1, 17)]


def test_a_job_is_named_by_its_number_and_an_unknown_one_is_told_the_newest(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path)
    job = submit(queue, tmp_path)
    assert queue.job("1") == job == queue.job("000001")
    for wrong in ("2", "x", "../1", ""):
        with pytest.raises(StudyError, match="000001"):
            queue.job(wrong)


def test_a_damaged_record_of_a_job_is_said_and_not_taken_for_another(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path)
    job = submit(queue, tmp_path)
    (tmp_path / "queue" / job.id / "state.json").write_text("{")
    with pytest.raises(FileError, match=r"state\.json"):
        queue.standing(job)
    (tmp_path / "queue" / job.id / "job.json").write_text(json.dumps({"id": "000001"}))
    with pytest.raises(FileError, match="no record of a job"):
        queue.jobs()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[link]\nport = 70000", "0 to 65535"),
        ('[link]\nfront = "nginx"', "front"),
        ('[link]\nfront = "none"', "needs a port"),
        ("[link]\nprot = 1", "port"),
        ("link = 1", "must be a table"),
        ("[link", "not TOML"),
        ("[jobs]\nrestarts = -1", "0 or more"),
        ("[jobs]\nwithin_s = 0", "positive"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "server.toml").write_text(text)
    with pytest.raises(StudyError, match=said):
        read_link(tmp_path), read_jobs(tmp_path)


def test_without_settings_everything_has_a_default(tmp_path: Path) -> None:
    assert read_link(tmp_path).port == 0 and read_jobs(tmp_path).restarts > 0
    assert conducting.PAUSES_S[0] == 0.0


def test_a_defect_in_serving_a_job_does_not_end_the_thread_that_serves_all(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    queue, _, one = served(completes)
    job = submit(queue, tmp_path)
    monkeypatch.setattr(conducting.NodeKeys, "bring_in_line", lambda self: None)
    one.link.await_listening, one.link.is_new = lambda given_up: None, True  # type: ignore[method-assign, misc]
    defects, finish = iter([KeyError("a defect")]), one._finish

    def finishes(*job_and_standing: Any) -> Standing:
        for defect in defects:
            raise defect
        one.given_up.set()
        return finish(*job_and_standing)

    monkeypatch.setattr(one, "_finish", finishes)
    one.serve()
    assert queue.standing(job).state == "completed"
    assert "a defect" in caplog.text


def test_an_end_that_an_earlier_attempt_wrote_is_none_of_the_one_that_conducts_now(tmp_path: Path) -> None:
    job = submit(JobQueue(tmp_path), tmp_path)
    place = Path(job.folder)
    about(job, state="stopped", reason="too few hospitals", rounds_done=2)
    say_so(place, 7)
    write_json(place, "conducted.json", {**read_table(place, "conducted.json"), "pid": None})
    assert attempts.Attempt(job, "7").seen() == "crashed"
    assert read_table(place, "about.json")["rounds_done"] == 2


def test_a_table_that_no_program_reads_is_told_the_one_that_was_meant(tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text("[lnik]\nport = 9092\n")
    with pytest.raises(StudyError, match=r"'lnik'; did you mean 'link'\?"):
        read_link(tmp_path)
