"""`wardround server up`, `submit`, `status` and `stop`."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from client.fleet.notify import notify
from common.errors import FileError, LastingError, StudyError
from common.files.access import is_there, names, new_folder, read_text
from experiments.coordinator.job_queue import Job, JobQueue, Standing
from experiments.coordinator.settings import FILE, NODE_KEYS, RUNS

if TYPE_CHECKING:
    from experiments.coordinator.serving import Serving

NOT_SET_UP = 78
"""EX_CONFIG of sysexits.h: it will not mend by itself, and a service manager need not try again."""
POLL_S = 0.5
Say = Callable[[Iterable[str]], None]


def serve(folder: Path) -> None:
    """Until a signal. Exits with 78 where a program says that it will never start as it is set up."""
    from experiments.coordinator.serving import serve as serve_all

    _log_to_stderr()
    log = logging.getLogger("wardround.supervisor")

    def begun(served: Serving) -> None:
        log.info("serving %s; the SuperLink is at %s", folder, served.link.address)
        notify("READY=1")

    try:
        serve_all(folder, begun)
    except (LastingError, StudyError) as error:
        log.error("%s", error)
        raise typer.Exit(NOT_SET_UP) from None


def submit_study(folder: Path, study: str, overrides: Sequence[str], say: Say) -> Job:
    """A checked study into the queue, as it stands: hospitals approved every setting of it."""
    from common.study.study import parse
    from experiments.commands._study_text import read_study

    demand_coordinator(folder)
    text, name = read_study(study)
    parsed = parse(text, overrides)
    if not name.replace("-", "").replace("_", "").isalnum():
        raise StudyError(f"a study's name becomes a folder: letters, digits, - and _ only; it is {name!r}.")
    if not parsed.federation.roster:
        say(["The study has no roster (federation.roster): whoever is let in takes part."])
    return JobQueue(folder).submit(name, parsed.text, _new_run_folder(folder.resolve() / RUNS / name))


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
                from experiments.spoken_losses import last_lines

                say(last_lines(Path(job.folder))[0])
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


def demand_coordinator(folder: Path) -> None:
    """Raise StudyError where it is no coordinator's folder."""
    if not folder.is_dir():
        raise FileError(folder, "is no folder; a coordinator's is made with: wardround consortium create")
    if not is_there(folder, FILE) and not names(folder, NODE_KEYS) and not is_there(folder, "front"):
        raise FileError(folder, f"is no coordinator's folder: it holds neither {FILE} nor {NODE_KEYS}/ nor front/")


def _new_run_folder(place: Path) -> Path:
    time_now = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    every = chain([time_now], (f"{time_now}-{number}" for number in count(2)))
    return place / next(one for one in every if new_folder(place, one))


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%S"))
    logger = logging.getLogger("wardround.supervisor")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
