"""One job at Flower: begun, watched by what its server app writes, and ended.

Flower says of a run what became of its process, up to a minute after it, and `flwr run` exits with 0 whatever that
was. What became of the study stands in its folder. A server app that is gone and has not written an end has crashed.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from common.errors import EngineError, FileError
from common.files.access import if_there, is_there, names, read_text, write
from common.files.json_files import lines_of, readable_table
from common.sums.identity import KEY_FILE
from experiments.coordinator.job_queue import ENDS, Job
from experiments.coordinator.link import Link
from experiments.coordinator.node_keys import names_of_nodes
from experiments.engines._bundle import bundle
from experiments.engines._flower_commands import FEDERATION
from server.coordinator_folder import NODE_KEYS
from server.run_lock import CONDUCTED, STOPPED_AT_THE_LINK

LOG = logging.getLogger("wardround.supervisor")
CHECKPOINT = "checkpoint/last.safetensors"
INTERRUPTED = ("SystemExit", "KeyboardInterrupt")
"""Reasons in about.json of a server app that was ended, and not by its study."""
FULL_DISK = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))
LEAST_FREE_BYTES = 1 << 23
QUICK_COMMAND_S = 90.0

Seen = Literal["starting", "running", "crashed", "over"]


@dataclass(frozen=True)
class Attempt:
    """One run at Flower of a job."""

    job: Job
    run_id: str

    def seen(self) -> Seen:
        """How it goes, without asking Flower."""
        place = Path(self.job.folder)
        # Where a file is damaged the job is taken for crashed, which is bounded.
        conducted = readable_table(place, CONDUCTED)
        if str(conducted.get("run")) != self.run_id:
            return "starting"
        if _is_alive(conducted.get("pid")):
            return "running"
        about = readable_table(place, "about.json")
        return "over" if about.get("state") in ENDS and not _was_interrupted(about) else "crashed"


def begin(job: Job, link: Link, before: str = "") -> Attempt:
    """`flwr run` with the configuration in a file; before: the run that it goes on with, which is stopped.

    Raises EngineError where the SuperLink took no run.
    """
    app = link.home / "app" / "wardround"
    shutil.rmtree(app.parent, ignore_errors=True)
    bundle(app)
    place = Path(job.folder)
    config: dict[str, str | int | bool] = {
        "study": job.study,
        "study-name": job.name,
        "run-folder": str(place),
        "hospitals": len([one for one in names(link.folder, NODE_KEYS) if one.endswith(".pub")]),
        "resume": is_there(place, CHECKPOINT),
        "accept-changed-data": job.accepts_changed_data,
        "questions": job.questions,
        "nodes": True,
        "node-names": json.dumps(names_of_nodes(link.folder)),
        "signing-folder": str(link.folder) if is_there(link.folder, KEY_FILE) else "",
    }
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in config.items())
    write(link.home, "run.toml", lines)
    run = ("run", str(app), FEDERATION, "--run-config", str(link.home / "run.toml"))
    commands = [("stop", before, FEDERATION), run] if before else [run]
    said = link.flower.say_each(commands, QUICK_COMMAND_S)[-1]
    run_id = str(said.get("run-id") or "")
    if not run_id:
        raise EngineError(f"the SuperLink took no run: {str(said)[:300] if said else 'see superlink.log'}")
    return Attempt(job, run_id)


def ended_at_flower(attempt: Attempt, link: Link) -> str | None:
    """What Flower says of a run that is at its end there; None while it is not."""
    for run in _runs(link, "--run-id", attempt.run_id):
        if str(run.get("run-id")) == attempt.run_id and str(run.get("status", "")).startswith("finished"):
            return str(run.get("status-details") or run.get("status"))
    return None


def end_unfinished(link: Link) -> None:
    """Stop all that Flower takes for running: nothing of another start is left that could run it."""
    for run in _runs(link):
        if not str(run.get("status", "")).startswith("finished"):
            stop(str(run.get("run-id")), link)


def stop(run_id: str, link: Link) -> None:
    """At Flower, where it may have ended by itself."""
    try:
        link.flower.say("stop", run_id, FEDERATION, longest_s=QUICK_COMMAND_S)
    except EngineError as error:
        LOG.info("run %s was not stopped: %s", run_id, error)


def end_app(attempt: Attempt) -> None:
    """End a server app that Flower could not."""
    conducted = readable_table(Path(attempt.job.folder), CONDUCTED)
    if str(conducted.get("run")) == attempt.run_id and _is_alive(conducted.get("pid")):
        with suppress(psutil.Error):
            psutil.Process(int(conducted["pid"])).kill()


def lacks_room(job: Job) -> bool:
    """Whether the disk of its folder is as good as full."""
    try:
        return shutil.disk_usage(job.folder).free < LEAST_FREE_BYTES
    except OSError:
        return False


def rounds_done(job: Job) -> int:
    """As its folder says: about.json is written at the end."""
    try:
        return len(lines_of(if_there(read_text, Path(job.folder), "rounds.jsonl") or ""))
    except FileError:
        return 0


def end_of(job: Job) -> tuple[str, str]:
    """State and reason of a run that is over."""
    about = readable_table(Path(job.folder), "about.json")
    return str(about.get("state", "")), str(about.get("reason", ""))


def _runs(link: Link, *which: str) -> list[dict[str, Any]]:
    found = link.flower.say("ls", FEDERATION, *which, longest_s=QUICK_COMMAND_S).get("runs", [])
    return [one for one in found if isinstance(one, dict)]


def _was_interrupted(about: dict[str, Any]) -> bool:
    """By something that has nothing to do with the study; a disk that was full for a while is such."""
    reason = str(about.get("reason", ""))
    if any(words in reason for words in FULL_DISK):
        return True
    return reason in INTERRUPTED or reason.startswith(("it was interrupted", STOPPED_AT_THE_LINK))


def _is_alive(pid: object) -> bool:
    """Whether that process is there and a server app: numbers of processes are used again."""
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and "flwr-serverapp" in " ".join(process.cmdline())
    except psutil.Error:
        return False
