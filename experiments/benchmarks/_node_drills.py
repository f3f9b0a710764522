"""A study in nodes on this machine while programs are killed: what was done to it, and what became of it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import Literal, get_args

from client.hospital import site_names
from common.errors import EngineError, FileError
from common.files.access import is_there
from common.files.json_files import read_lines, read_table
from common.study.study import Study
from experiments.coordinator.job_queue import Job, JobQueue
from experiments.coordinator.supervision import Kept, Program, end_all, end_orphans
from experiments.engines.nodes import LOGS, Rehearsal, prepared, started
from experiments.quiet import Outcome, read_outcome
from server.conducted import CONDUCTED

Victim = Literal["node", "server app", "superlink", "superexec", "front", "supervisor"]
VICTIMS: tuple[Victim, ...] = get_args(Victim)
POLL_S = 0.02
LONGEST_S = 1800.0


@dataclass(frozen=True)
class Fault:
    """One kill -9. after_round: as soon as so many rounds are finished, and delay_s later. site: of a node.

    frozen_s: it is held up for so long instead, and goes on then, as a machine that is overloaded or cut off.
    """

    victim: Victim
    after_round: int
    delay_s: float = 0.0
    site: str = ""
    frozen_s: float = 0.0


@dataclass(frozen=True)
class Killed:
    """A fault that was done, and how long after it another round was finished; None: there was none."""

    fault: Fault
    at_s: float
    next_round_after_s: float | None = None


@dataclass(frozen=True)
class Drilled:
    """What became of it. attempts: runs at Flower, one more than the server app had to be begun again."""

    outcome: Outcome
    killed: tuple[Killed, ...]
    attempts: int
    seconds: float
    dropped: tuple[str, ...] = ()
    missed: tuple[Fault, ...] = field(default=())


def drill(study: Study, folder: Path, faults: Sequence[Fault], name: str = "drill") -> Drilled:
    """Run the study in nodes under the faults, in their order. Raises EngineError where it did not complete."""
    begin = monotonic()
    with started(folder.resolve(), site_names(study), LONGEST_S, study.text) as rehearsal:
        job = rehearsal.submit({"study": study.text, "study-name": name})
        killing = _Killing(rehearsal, job, list(faults))
        try:
            killing.thread.start()
            rehearsal.await_end(job, LONGEST_S)
        finally:
            killing.end()
        attempts = len(rehearsal.queue.standing(job).attempts)
    outcome = read_outcome(folder)
    dropped = tuple(f"round {one['round']}: {drop['site']}" for one in outcome.rounds for drop in one["dropped"])
    return Drilled(outcome, killing.told(), attempts, monotonic() - begin, dropped, tuple(killing.left))


def drill_supervisor(study: Study, folder: Path, after_round: int, name: str = "drill") -> Drilled:
    """`wardround server up` in a process of its own, killed once, so that all that it started is left behind."""
    begin, place = monotonic(), folder.resolve()
    coordinator, sent, nodes = prepared(place, site_names(study), LONGEST_S, study.text)
    command = [sys.executable, "-m", "experiments.cli", "server", "up", "--folder", str(coordinator)]
    served = Kept(Program("server-up", command, dict(os.environ), place), coordinator / LOGS)
    queue = JobQueue(coordinator)
    job = queue.submit(name, sent.text, place)
    fault, killed_at = Fault("supervisor", after_round), 0.0
    try:
        for one in (served, *nodes.values()):
            one.start()
        while not (standing := queue.standing(job)).is_over:
            for one in (served, *nodes.values()):
                one.look()
            if not killed_at and served.pid is not None and _rounds_in(place) >= after_round:
                os.kill(served.pid, signal.SIGKILL)
                killed_at = monotonic() - begin
            if served.refuses or monotonic() > begin + LONGEST_S:
                raise EngineError(f"the run did not end: {served.last_words()}")
            sleep(POLL_S)
    finally:
        end_all([*nodes.values(), served])
        end_orphans(coordinator.resolve())
    if standing.state != "completed":
        raise EngineError(f"the run ended as {standing.state}: {standing.reason}")
    outcome = read_outcome(place)
    return Drilled(outcome, (Killed(fault, killed_at),), len(standing.attempts), monotonic() - begin)


def _rounds_in(folder: Path) -> int:
    if not is_there(folder, "rounds.jsonl"):
        return 0
    try:
        return len(read_lines(folder, "rounds.jsonl"))
    except FileError:  # a line is just being written
        return 0


class _Killing:
    """Does the faults in turn, in a thread of its own; what the run did not last for is left."""

    def __init__(self, rehearsal: Rehearsal, job: Job, faults: list[Fault]) -> None:
        self._rehearsal, self._folder, self.left = rehearsal, Path(job.folder), faults
        self._done, self._begin = Event(), monotonic()
        self._killed: list[tuple[Fault, float, int]] = []
        self._finished: dict[int, float] = {}
        self.thread = Thread(target=self._work, name="faults", daemon=True)

    def end(self) -> None:
        """Do no more."""
        self._done.set()
        if self.thread.ident is not None:
            self.thread.join()

    def told(self) -> tuple[Killed, ...]:
        """What was done, in order."""
        return tuple(Killed(fault, at, self._after(at, rounds)) for fault, at, rounds in self._killed)

    def _after(self, at: float, rounds: int) -> float | None:
        later = [when for number, when in self._finished.items() if number > rounds]
        return min(later) - at if later else None

    def _work(self) -> None:
        while not self._done.wait(POLL_S):
            rounds = self._rounds()
            self._finished.setdefault(rounds, monotonic() - self._begin)
            if self.left and rounds >= self.left[0].after_round and self._began():
                sleep(self.left[0].delay_s)
                if self._kill(self.left[0]):
                    self._killed.append((self.left.pop(0), monotonic() - self._begin, self._rounds()))

    def _kill(self, fault: Fault) -> bool:
        pid = self._pid(fault)
        if pid is None:
            return False
        try:
            os.kill(pid, signal.SIGSTOP if fault.frozen_s else signal.SIGKILL)
        except ProcessLookupError:
            return False
        if fault.frozen_s:
            self._done.wait(fault.frozen_s)
            with suppress(ProcessLookupError):  # whoever watches may have ended it
                os.kill(pid, signal.SIGCONT)
        return True

    def _pid(self, fault: Fault) -> int | None:
        if fault.victim == "server app":
            found = self._table(CONDUCTED).get("pid")
            return found if isinstance(found, int) else None
        if fault.victim == "node":
            return self._rehearsal.nodes[fault.site or min(self._rehearsal.nodes)].pid
        kept = {one.program.name: one for one in self._rehearsal.served.kept}
        return kept[fault.victim].pid

    def _began(self) -> bool:
        return is_there(self._folder, CONDUCTED)

    def _rounds(self) -> int:
        return max(_rounds_in(self._folder), max(self._finished, default=0))

    def _table(self, name: str) -> dict[str, object]:
        try:
            return read_table(self._folder, name)
        except FileError:
            return {}


def same_model(one: Outcome, other: Outcome) -> bool:
    """To the bit, and with the same final scores."""
    if not one.about["model_sha256"]:
        raise EngineError("the run left no model.")
    return bool(one.about["model_sha256"] == other.about["model_sha256"] and one.final == other.final)
