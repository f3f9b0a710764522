"""Jobs on the coordinator's disk, `queue/000012/`: what was asked, how it stands, and whether it is to stop.

Each file has one writer: `job.json` whoever submitted it, `stop` whoever stops it, `state.json` the supervisor.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from common.errors import FileError, StudyError
from common.files.access import create, if_there, is_there, names, new_folder
from common.files.json_files import read_json, table_of, write_json
from common.study.options import build
from experiments.coordinator.settings import QUEUE

JOB, STATE, STOP = "job.json", "state.json", "stop"
WAITING, RUNNING = "waiting", "running"
ENDS = ("completed", "stopped", "failed")
_ID = re.compile(r"\d{6}")
MOST_JOBS = 10**6 - 1
T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """What was asked. study: its whole text. folder: of the run. resume: go on with what is there. questions: as a
    run's configuration has them; "" where the study is run.
    """

    id: str
    name: str
    study: str
    folder: str
    resume: bool = False
    accepts_changed_data: bool = False
    asked: str = ""
    questions: str = ""

    def __post_init__(self) -> None:
        if "\0" in self.folder or not self.folder.encode(errors="ignore").decode() == self.folder:
            raise StudyError("a job's folder must be a path.")


@dataclass(frozen=True)
class Standing:
    """How a job stands. run_id: Flower's, of the newest attempt. attempts: when each began, UTC.

    code: with which `submit --wait` exits, once the job is at its end. next_at: when it is begun again, in seconds
    since the epoch. in_vain: attempts in a row that finished no round.
    """

    state: str = WAITING
    run_id: str = ""
    attempts: tuple[str, ...] = ()
    reason: str = ""
    code: int | None = None
    next_at: float = 0.0
    rounds_done: int = 0
    in_vain: int = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDS


class JobQueue:
    """All jobs of a coordinator's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def submit(
        self,
        name: str,
        study: str,
        run_folder: Path,
        resume: bool = False,
        accepts: bool = False,
        questions: str = "",
    ) -> Job:
        """Add a job behind all others; it is on the disk when this returns."""
        last = max((int(one) for one in self.ids()), default=0)
        for number in range(last + 1, MOST_JOBS):
            if new_folder(self._folder / QUEUE, f"{number:06d}"):
                asked = datetime.now(UTC).isoformat(timespec="seconds")
                job = Job(f"{number:06d}", name, study, str(run_folder), resume, accepts, asked, questions)
                write_json(self._place(job.id), JOB, asdict(job), durable=True)
                return job
        raise StudyError("the queue is full.")

    def ids(self) -> list[str]:
        """Of all jobs, oldest first."""
        return [one for one in names(self._folder, QUEUE) if _ID.fullmatch(one)]

    def job(self, job_id: str) -> Job:
        """Raises StudyError where there is none of that id."""
        number = job_id.strip().rjust(6, "0")
        if not _ID.fullmatch(number) or not is_there(self._folder, f"{QUEUE}/{number}/{JOB}"):
            known = ", ".join(self.ids()[-8:]) or "none"
            raise StudyError(f"there is no job {job_id!r}; the newest are: {known}")
        found = _built(Job, read_json(self._place(number), JOB), self._place(number) / JOB)
        return replace(found, id=number)

    def jobs(self) -> list[Job]:
        """All that are whole, oldest first: one that is being written is seen the next time."""
        return [self.job(one) for one in self.ids() if is_there(self._folder, f"{QUEUE}/{one}/{JOB}")]

    def standing(self, job: Job) -> Standing:
        """How it stands."""
        found = if_there(read_json, self._place(job.id), STATE)
        if found is None:
            return Standing()
        known = _built(Standing, found, self._place(job.id) / STATE)
        return replace(known, attempts=tuple(known.attempts))

    def keep(self, job: Job, standing: Standing) -> None:
        """For the supervisor alone; it outlives a loss of power."""
        write_json(self._place(job.id), STATE, asdict(standing), durable=True)

    def stop(self, job: Job) -> None:
        """Ask for its end."""
        create(self._place(job.id), STOP)

    def is_to_stop(self, job: Job) -> bool:
        """Whether somebody asked for its end."""
        return is_there(self._place(job.id), STOP)

    def _place(self, job_id: str) -> Path:
        return self._folder / QUEUE / job_id


def _built(kind: type[T], value: Any, path: Path) -> T:
    """A value of the dataclass, from a table that may have been damaged, or written by another version."""
    table: Mapping[str, Any] = table_of(value, path)
    known = {one.name for one in fields(kind)}  # type: ignore[arg-type]
    try:
        return build(kind, {key: item for key, item in table.items() if key in known}, str(path))
    except (StudyError, TypeError) as error:
        raise FileError(path, f"is no record of a job: {error}") from error
