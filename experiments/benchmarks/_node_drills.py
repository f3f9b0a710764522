"""A study in nodes on this machine while programs are killed: what was done to it, and what became of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import Literal, get_args

from client.hospital import site_names
from common.data.cases import SiteId
from common.errors import EngineError, FileError
from common.files.access import is_there
from common.files.json_files import read_lines, read_table
from common.study.study import Study
from experiments.coordinator.job_queue import Job
from experiments.coordinator.supervision import SupervisedProgram
from experiments.engines._quiet import Outcome, read_outcome
from experiments.engines.nodes import Rehearsal, started
from server.run_lock import CONDUCTED

Victim = Literal["node", "server app", "superlink", "superexec", "front", "supervisor"]
VICTIMS: tuple[Victim, ...] = get_args(Victim)
POLL_S = 0.02
LONGEST_S = 1800.0


@dataclass(frozen=True)
class Fault:
    """One kill -9. after_round: as soon as so many rounds are finished, and delay_s later. site: of a node.

    frozen_s: it is held up for so long instead, and goes on then, as a machine that is overloaded or cut off.
    away_s: it is killed and does not start before so much later, as a machine that must be mended.
    """

    victim: Victim
    after_round: int
    delay_s: float = 0.0
    site: str = ""
    frozen_s: float = 0.0
    away_s: float = 0.0


@dataclass(frozen=True)
class Deed:
    """Anything else that is done once so many rounds are finished. do: to a run, for as long as it lasts."""

    name: str
    after_round: int
    do: Callable[[Rehearsal], None]
    delay_s: float = 0.0


@dataclass(frozen=True)
class Killed:
    """A fault that was done, and how long after it another round was finished; None: there was none."""

    fault: Fault | Deed
    at_s: float
    next_round_after_s: float | None = None


@dataclass(frozen=True)
class Drilled:
    """What became of it. attempts: runs at Flower, one more than the server app had to be begun again.

    ends: exit statuses of programs that ended, by their names; negative: the signal. code: of the job.
    """

    outcome: Outcome
    killed: tuple[Killed, ...]
    attempts: int
    seconds: float
    dropped: tuple[str, ...] = ()
    missed: tuple[Fault | Deed, ...] = field(default=())
    ends: Mapping[str, int] = field(default_factory=dict)
    code: int | None = None


def drill(
    study: Study,
    folder: Path,
    faults: Sequence[Fault | Deed],
    name: str = "drill",
    arrange: Callable[[Mapping[SiteId, SupervisedProgram]], None] = lambda _: None,
) -> Drilled:
    """Run the study in nodes under the faults, in their order. Raises EngineError where it did not complete.

    arrange: told the nodes before they are started.
    """
    begin = monotonic()
    with started(folder.resolve(), site_names(study), LONGEST_S, study.text, arrange) as rehearsal:
        job = rehearsal.submit({"study": study.text, "study-name": name})
        killing = _Killing(rehearsal, job, list(faults))
        try:
            killing.thread.start()
            rehearsal.await_end(job, LONGEST_S)
        finally:
            killing.end()
        standing = rehearsal.queue.standing(job)
        kept = (*rehearsal.served.kept, *rehearsal.nodes.values())
        ends = {one.program.name: one.last_code for one in kept if one.last_code is not None}
    outcome, seconds = read_outcome(folder), monotonic() - begin
    dropped = tuple(f"round {one['round']}: {drop['site']}" for one in outcome.rounds for drop in one["dropped"])
    attempts, left = len(standing.attempts), tuple(killing.left)
    return Drilled(outcome, killing.told(), attempts, seconds, dropped, left, ends, standing.code)


def rounds_in(folder: Path) -> int:
    """Finished so far."""
    if not is_there(folder, "rounds.jsonl"):
        return 0
    try:
        return len(read_lines(folder, "rounds.jsonl"))
    except FileError:  # a line is just being written
        return 0


class _Killing:
    """Does the faults in turn, in a thread of its own; what the run did not last for is left."""

    def __init__(self, rehearsal: Rehearsal, job: Job, faults: list[Fault | Deed]) -> None:
        self._rehearsal, self._folder, self.left = rehearsal, Path(job.folder), faults
        self._done, self._begin = Event(), monotonic()
        self._killed: list[tuple[Fault | Deed, float, int]] = []
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
                at, rounds = monotonic() - self._begin, self._rounds()
                if self._did(self.left[0]):
                    self._killed.append((self.left.pop(0), at, rounds))

    def _did(self, fault: Fault | Deed) -> bool:
        if isinstance(fault, Fault):
            return self._kill(fault)
        doing = Thread(target=fault.do, args=(self._rehearsal,), name=fault.name, daemon=True)
        doing.start()
        return True

    def _kill(self, fault: Fault) -> bool:
        pid = self._pid(fault)
        if pid is None:
            return False
        try:
            with self._kept_away(fault):
                os.kill(pid, signal.SIGSTOP if fault.frozen_s else signal.SIGKILL)
        except ProcessLookupError:
            return False
        if fault.frozen_s:
            self._done.wait(fault.frozen_s)
            with suppress(ProcessLookupError):  # whoever watches may have ended it
                os.kill(pid, signal.SIGCONT)
        return True

    @contextmanager
    def _kept_away(self, fault: Fault) -> Iterator[None]:
        """What is started in the place of a program sleeps first, until that has happened."""
        kept = self._kept(fault)
        if not fault.away_s or kept is None:
            yield
            return
        program, before = kept.program, kept.restarts
        sleeping = ("sh", "-c", f'sleep {fault.away_s:g}; exec "$@"', "sh", *program.command)
        kept.program = replace(program, command=sleeping)
        try:
            yield
            while kept.restarts == before and not self._done.wait(POLL_S):
                pass
        finally:
            kept.program = program

    def _pid(self, fault: Fault) -> int | None:
        if fault.victim == "server app":
            found = self._table(CONDUCTED).get("pid")
            return found if isinstance(found, int) else None
        kept = self._kept(fault)
        return None if kept is None else kept.pid

    def _kept(self, fault: Fault) -> SupervisedProgram | None:
        if fault.victim == "node":
            return self._rehearsal.nodes[fault.site or min(self._rehearsal.nodes)]
        return {one.program.name: one for one in self._rehearsal.served.kept}.get(fault.victim)

    def _began(self) -> bool:
        return is_there(self._folder, CONDUCTED)

    def _rounds(self) -> int:
        return max(rounds_in(self._folder), max(self._finished, default=0))

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
