"""Programs that are kept running: whichever ends is started again, with growing pauses, and its log is bounded."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import psutil

from common.errors import LASTING, FileError
from common.files.access import UMASK, appending, is_there, read, write

LOG = logging.getLogger("wardround.supervisor")
MARK = "WARDROUND_COORDINATOR"
"""Of the environment of every program that is started here: the coordinator's folder."""
PAUSES_S = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
HEALTHY_S = 60.0
"""After this long the next end is the first again."""
LARGEST_LOG_BYTES = 1 << 24
LOOK_AT_LOG_S = 10.0
END_S = 8.0

Clock = Callable[[], float]


@dataclass(frozen=True)
class Program:
    """What is kept running. name: of its log, `<name>.log` in the folder of logs."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    place: Path


@dataclass
class SupervisedProgram:
    """A program and its process. ends: how often it ended in a row, not counting after it was well for a while."""

    program: Program
    logs: Path
    clock: Clock = monotonic
    process: subprocess.Popen[bytes] | None = None
    ends: int = 0
    restarts: int = 0
    _began: float = 0.0
    _next: float = 0.0
    _looked: float = field(default=float("-inf"))

    def start(self) -> None:
        """In a session of its own, so that all of its family can be ended."""
        with appending(self.logs, f"{self.program.name}.log") as log:
            self.process = subprocess.Popen(
                list(self.program.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self.program.environment),
                start_new_session=True,
                cwd=self.program.place,
                umask=UMASK,
            )
        self._began = self.clock()

    def look(self) -> None:
        """Start it where it has ended and its pause is over."""
        if self.process is None:
            if self.clock() >= self._next:
                self._start_again()
            return
        code = self.process.poll()
        if code is None:
            self._bound_log()
            return
        end_families([self.process.pid])
        self.ends = 1 if self.clock() - self._began > HEALTHY_S else self.ends + 1
        pause_s = PAUSES_S[min(self.ends, len(PAUSES_S)) - 1]
        LOG.warning("%s ended (%s); it is started again in %g s", self.program.name, _in_words(code), pause_s)
        self.process, self._next = None, self.clock() + pause_s
        self.last_code = code

    def _start_again(self) -> None:
        self.restarts += 1
        try:
            self.start()
        except (OSError, FileError) as error:  # a machine without memory or disk for it is not so for ever
            self._next = self.clock() + PAUSES_S[-1]
            LOG.warning("%s cannot be started now: %s", self.program.name, error)

    last_code: int | None = None

    @property
    def refuses(self) -> bool:
        """Whether it ended saying that it will not mend by itself."""
        return self.process is None and self.last_code == LASTING

    @property
    def pid(self) -> int | None:
        """Of the process, None while there is none."""
        return None if self.process is None else self.process.pid

    @property
    def age_s(self) -> float:
        """Seconds since it was started last."""
        return self.clock() - self._began

    def last_words(self, characters: int = 600) -> str:
        """The end of its log."""
        name = f"{self.program.name}.log"
        if not is_there(self.logs, name):
            return ""
        return read(self.logs, name)[-characters:].decode("utf-8", "replace").strip()

    def kill(self) -> None:
        """At once; it is started again."""
        if self.process is not None:
            end_families([self.process.pid], at_once=True)

    def reap(self) -> None:
        """Of a process that was ended."""
        if self.process is not None:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(END_S)

    def _bound_log(self) -> None:
        """A SuperLink writes a line a request. The last part of a long log is kept beside the new one."""
        if self.clock() < self._looked + LOOK_AT_LOG_S:
            return
        self._looked = self.clock()
        name = f"{self.program.name}.log"
        with suppress(OSError, FileError):
            if (self.logs / name).stat().st_size > LARGEST_LOG_BYTES:
                write(self.logs, f"{name}.1", read(self.logs, name))
                with appending(self.logs, name) as log:
                    os.ftruncate(log, 0)


def end_all(kept: Iterable[SupervisedProgram]) -> None:
    """In turn, with all that descend from each: asked first, then made to."""
    running = [one for one in kept if one.process is not None]
    end_families([one.process.pid for one in running if one.process is not None])
    for one in running:
        one.reap()


def end_families(pids: Sequence[int], at_once: bool = False) -> None:
    """Processes and all that descend from them, also those whose parent has ended: a session is a family."""
    family = [member for pid in pids for member in _family(pid)]
    _end(family, at_once)


def end_orphans(folder: Path) -> int:
    """End what another supervisor of this folder left behind when it was killed; how many there were.

    Only whoever holds the folder may ask: whatever bears its mark is then nobody's.
    """
    left = [one for one in psutil.process_iter() if one.pid != os.getpid() and _marked(one, folder)]
    _end(left, at_once=True)
    return len(left)


def is_of(pid: object, folder: Path) -> bool:
    """Whether that process runs, and was started for this folder: numbers of processes are used again."""
    if not isinstance(pid, int):
        return False
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and _marked(process, folder)
    except psutil.Error:
        return False


def _marked(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.environ().get(MARK) == str(folder)
    except (psutil.Error, OSError):
        return False


def _family(pid: int) -> list[psutil.Process]:
    members = {}
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        members = {one.pid: one for one in [*parent.children(recursive=True), parent]}
    for one in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if os.getsid(one.pid) == pid:
                members.setdefault(one.pid, one)
    return list(members.values())


def _end(processes: Sequence[psutil.Process], at_once: bool) -> None:
    for one in processes:
        with suppress(psutil.Error):
            one.send_signal(signal.SIGKILL if at_once else signal.SIGTERM)
    _, alive = psutil.wait_procs(processes, timeout=END_S)
    for one in alive:
        with suppress(psutil.Error):
            one.kill()
    psutil.wait_procs(alive, timeout=END_S)


def _in_words(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with exit status {code}"
