"""One long run in nodes under a schedule of kills; whoever is interrupted goes on with the same run later.

`wardround server up` is a process of its own here, so that it can be killed as well, and everything else with it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic, sleep

import psutil
import tomli_w

from common.errors import EngineError, FileError
from common.files.access import is_there, private_folder, read_text, write
from common.files.json_files import read_table
from common.study.study import Study
from experiments.benchmarks._drill_schedule import Done, Kill, done, keep
from experiments.benchmarks._node_drills import rounds_in
from experiments.coordinator.job_queue import Job, JobQueue, Standing
from experiments.coordinator.settings import FILE, SUPERVISOR
from experiments.coordinator.supervision import Program, SupervisedProgram, end_all, end_orphans
from experiments.engine import QUIET
from experiments.engines._local_grid import hospital_folder
from experiments.engines.nodes import COORDINATOR, LOGS, node_program, prepared
from server.run_lock import CONDUCTED

RUN = "run"
POLL_S = 0.05
START_S = 600.0
UNDISTURBED_S = 600.0
"""Without a round for so long after a kill, nothing will come any more."""
MANY = {"restarts": 10**6, "restarts_without_progress": 50}
"""A drill kills oftener than any machine fails; what is measured is that nothing is lost, not when to give up."""


@dataclass
class Campaign:
    """A run in `place`/run, its programs, and the kills that were done to it."""

    place: Path
    sites: Sequence[str]
    job: Job
    queue: JobQueue
    served: SupervisedProgram
    nodes: Mapping[str, SupervisedProgram]
    kills: list[Done] = field(default_factory=list)
    _rounds: int = 0
    _round_at: float = 0.0
    _began: float = field(default_factory=time.time)

    @property
    def folder(self) -> Path:
        """Of the run."""
        return Path(self.job.folder)

    @property
    def rounds(self) -> int:
        """Finished so far."""
        return self._rounds

    def carry_out(self, schedule: Sequence[Kill], until: float) -> Standing | None:
        """Kill by the schedule until the study is at its end; None where `until`, of monotonic(), came first."""
        left = list(schedule[len(self.kills) :])
        while not (standing := self.queue.standing(self.job)).is_over:
            self._look()
            if left and self._is_time(left[0]):
                self._wait(left[0].delay_s)
                if self._kill(left[0]):
                    left.pop(0)
            if monotonic() > until:
                return None
            sleep(POLL_S)
        self._look()
        return standing

    def _look(self) -> None:
        """Start what has ended, and see whether a round was finished."""
        for one in (self.served, *self.nodes.values()):
            one.look()
            if one.refuses:
                raise EngineError(f"{one.program.name} will not start again: {one.last_words()}")
        rounds = rounds_in(self.folder)
        if rounds > self._rounds:
            self._rounds, self._round_at = rounds, time.time()
            self._tell_stalls()
        elif self.kills and time.time() > max(self._round_at, self.kills[-1].at) + UNDISTURBED_S:
            raise EngineError(f"no round was finished within {UNDISTURBED_S:g} s of kill {len(self.kills)}.")

    def _tell_stalls(self) -> None:
        if self.kills and self.kills[-1].stall_s is None and self.kills[-1].at > self._began:
            self.kills[-1] = replace(self.kills[-1], stall_s=round(self._round_at - self.kills[-1].at, 2))
            keep(self.place, self.kills)

    def _is_time(self, kill: Kill) -> bool:
        """The first round is there, and the study went on after the kill before."""
        return self._rounds > 0 and (kill.close or not self.kills or self._rounds > self.kills[-1].rounds)

    def _wait(self, seconds: float) -> None:
        deadline = monotonic() + seconds
        while monotonic() < deadline:
            self._look()
            sleep(POLL_S)

    def _kill(self, kill: Kill) -> bool:
        """False where that program is not there just now; it is tried again."""
        pid = self._pid(kill)
        if pid is None or not psutil.pid_exists(pid):
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.kills.append(Done(kill.number, kill.victim, kill.site, self._rounds, time.time()))
            keep(self.place, self.kills)
            return True
        return False

    def _pid(self, kill: Kill) -> int | None:
        if kill.victim == "node":
            return self.nodes[kill.site].pid
        if kill.victim == "supervisor":
            return self.served.pid
        if kill.victim == "server app":
            return _number(_table(self.folder, CONDUCTED).get("pid"))
        programs = _table(self.folder / COORDINATOR, SUPERVISOR).get("programs", {})
        return _number(dict(programs).get(kill.victim, {}).get("pid")) if isinstance(programs, dict) else None


@contextmanager
def campaign(study: Study, place: Path, sites: Sequence[str]) -> Iterator[Campaign]:
    """The run that was begun in `place`, or a new one; its programs are running while the block lasts."""
    place = private_folder(place).resolve()
    folder, coordinator = place / RUN, place / RUN / COORDINATOR
    _end_left_behind(folder)
    queue = JobQueue(coordinator)
    if not queue.ids():
        _, sent, _ = prepared(folder, sites, START_S, study.text)
        _be_patient(coordinator)
        queue.submit("drill", sent.text, folder)
    logs = private_folder(coordinator, LOGS)
    nodes = {site: SupervisedProgram(node_program(site, hospital_folder(folder, site)), logs) for site in sites}
    served = SupervisedProgram(_served(coordinator, folder), logs)
    kills, rounds = list(done(place)), rounds_in(folder)
    begun = Campaign(place, sites, queue.jobs()[0], queue, served, nodes, kills, rounds, time.time())
    try:
        for one in (served, *nodes.values()):
            one.start()
        yield begun
    finally:
        end_all([*nodes.values(), served])
        end_orphans(coordinator)


def _served(coordinator: Path, folder: Path) -> Program:
    command = [sys.executable, "-m", "experiments.cli", "server", "up", "--folder", str(coordinator)]
    return Program("server-up", command, {**os.environ, **QUIET}, folder)


def _be_patient(coordinator: Path) -> None:
    table = tomllib.loads(read_text(coordinator, FILE))
    write(coordinator, FILE, tomli_w.dumps({**table, "jobs": {**table.get("jobs", {}), **MANY}}))


def _end_left_behind(folder: Path) -> None:
    """Programs of a drill that was itself killed: whatever has this folder on its command line."""
    end_orphans(folder / COORDINATOR)
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if process.pid != os.getpid() and any(word.startswith(f"{folder}/") for word in words):
            with suppress(psutil.Error):
                process.kill()


def _table(folder: Path, name: str) -> Mapping[str, object]:
    try:
        return read_table(folder, name) if is_there(folder, name) else {}
    except FileError:
        return {}


def _number(found: object) -> int | None:
    return found if isinstance(found, int) else None
