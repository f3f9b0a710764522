"""`wardround submit` and `stop`: jobs into the queue, what becomes of them, and their end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import StudyError
from common.files.access import is_there, new_folder, read_text
from experiments.coordinator.endings import ending
from experiments.coordinator.job_queue import Job, JobQueue, Standing
from experiments.coordinator.settings import RUNS, demand_coordinator

if TYPE_CHECKING:
    from common.study.study import Study

POLL_S = 0.5
SHORT_WAIT_S = 3600.0
"""In less, nobody can be asked who is not at their desk."""
Say = Callable[[Iterable[str]], None]


def submit_study(
    folder: Path,
    study: str,
    overrides: Sequence[str],
    say: Say,
    asked: Callable[[Study], str] = lambda study: "",
) -> Job:
    """A checked study into the queue, as it stands: hospitals approved every setting of it.

    asked: the questions that are asked in the place of training, as a run's configuration has them; "" for none.
    """
    from common.study.study import parse
    from experiments.approving.agreement import demand_written_out
    from experiments.commands._study_text import read_study
    from experiments.planning.configuration import configures_itself

    demand_coordinator(folder)
    text, name = read_study(study)
    parsed = parse(text, overrides)
    if not name.replace("-", "").replace("_", "").isalnum():
        raise StudyError(f"a study's name becomes a folder: letters, digits, - and _ only; it is {name!r}.")
    if not parsed.federation.roster:
        say(["The study has no roster (federation.roster): whoever is let in takes part."])
    try:
        demand_written_out(parsed, text, overrides)
    except StudyError as error:
        say([f"No hospital can approve this file: {error}"])
    if parsed.federation.start_timeout_s < SHORT_WAIT_S:
        seconds = f"{parsed.federation.start_timeout_s:g} s"
        say([f"Hospitals that have yet to approve it, or to come up, are waited for {seconds} (start_timeout_s)."])
    questions = asked(parsed)
    if configures_itself(parsed) and not questions:
        raise StudyError(
            "network 'auto' of real hospitals is planned before they approve what is trained: wardround plan STUDY "
            "--question FILE, wardround ask FILE --coordinator ..., and wardround plan STUDY --answer ... --out FILE."
        )
    place = _new_run_folder(folder.resolve() / RUNS / (f"{name}-asked" if questions else name))
    return JobQueue(folder).submit(name, parsed.text, place, questions=questions)


def submit_again(folder: Path, run_folder: Path, accepts: bool) -> Job:
    """Go on with a run that stopped."""
    demand_coordinator(folder)
    place = run_folder.resolve()
    if not is_there(place, "study.toml"):
        raise StudyError(f"{run_folder} holds no study.toml: it is not a run folder.")
    queue = JobQueue(folder)
    for job in queue.jobs():
        if Path(job.folder) == place and not queue.standing(job).is_over:
            raise StudyError(f"job {int(job.id)} is on {run_folder}, and not at its end.")
    return queue.submit(place.parent.name, read_text(place, "study.toml"), place, resume=True, accepts=accepts)


def await_end(folder: Path, job: Job, say: Say) -> int:
    """Say what becomes of a job; the exit code, as of a run on this machine."""
    queue, said = JobQueue(folder), ""
    while True:
        standing = queue.standing(job)
        words = in_words(job, standing)
        if words != said:
            said = words
            say([words])
        if standing.is_over:
            if standing.state == "completed":
                say(ending(job)[0])
            return 1 if standing.code is None else standing.code
        time.sleep(POLL_S)


def in_words(job: Job, standing: Standing) -> str:
    """A line of how it stands."""
    tries = len(standing.attempts)
    again = f", attempt {tries}" if tries > 1 else ""
    reason = f": {standing.reason}" if standing.reason else ""
    return f"job {int(job.id)} ({job.name}) is {standing.state}{again}{reason}"


def stop_job(folder: Path, job_id: str) -> Job:
    """Ask for its end. Raises StudyError where it is over."""
    demand_coordinator(folder)
    queue = JobQueue(folder)
    job = queue.job(job_id)
    standing = queue.standing(job)
    if standing.is_over:
        raise StudyError(f"job {int(job.id)} is {standing.state} already.")
    queue.stop(job)
    return job


def _new_run_folder(place: Path) -> Path:
    time_now = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    every = chain([time_now], (f"{time_now}-{number}" for number in count(2)))
    return place / next(one for one in every if new_folder(place, one))
