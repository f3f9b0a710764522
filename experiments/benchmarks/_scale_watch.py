"""What a program and all that it starts take: CPU and memory, and how much of it by the end of each round."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import psutil

from common.errors import EngineError

LOOK_S = 0.05
LOOKS_A_CENSUS = 10
"""Who descends from the program, and its memory, is asked only so often: it costs more than the time of one."""
LAST_WORDS = 1500


@dataclass
class Taken:
    """marks: CPU seconds and seconds of the clock when each round ended. peak_mib: proportional set size of all."""

    cpu_s: float = 0.0
    seconds: float = 0.0
    peak_mib: float = 0.0
    marks: list[tuple[float, float]] = field(default_factory=list)

    @property
    def start_cpu_s(self) -> float:
        """Until the first round ended."""
        return self.marks[0][0]

    def mark(self, rounds: int, cpu_s: float, seconds: float) -> None:
        """So many rounds have ended by now."""
        self.marks += [(cpu_s, seconds)] * (rounds - len(self.marks))

    def a_round(self) -> tuple[float, float]:
        """CPU seconds and seconds of the clock of a round after the first."""
        (cpu, clock), (last_cpu, last_clock) = self.marks[0], self.marks[-1]
        rounds = len(self.marks) - 1
        return (last_cpu - cpu) / rounds, (last_clock - clock) / rounds


def watched(command: Sequence[str], rounds_file: Path, log: Path, longest_s: float) -> Taken:
    """Run a program that adds a line to `rounds_file` after every round.

    Raises EngineError where it fails, takes too long, or ended fewer than two rounds.
    """
    taken, begin = Taken(), perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
        family = _Family(process.pid)
        try:
            while process.poll() is None:
                family.look()
                taken.mark(_lines(rounds_file), family.cpu_s, perf_counter() - begin)
                if perf_counter() - begin > longest_s:
                    raise EngineError(f"it was not done within {longest_s:.0f} s")
                process_wait(process)
        finally:
            family.end(process)
    taken.cpu_s, taken.seconds, taken.peak_mib = family.cpu_s, perf_counter() - begin, family.peak_bytes / 2**20
    taken.mark(_lines(rounds_file), taken.cpu_s, taken.seconds)  # a last round may end right before the program does
    if process.returncode or len(taken.marks) < 2:
        raise EngineError(f"it ended with {process.returncode}: {log.read_text('utf-8', 'replace')[-LAST_WORDS:]}")
    return taken


def process_wait(process: subprocess.Popen[bytes]) -> None:
    """Until the next look, or its end."""
    try:
        process.wait(LOOK_S)
    except subprocess.TimeoutExpired:
        return


def _lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


class _Family:
    """A process and its descendants. CPU of those that ended is kept as it was last seen."""

    def __init__(self, pid: int) -> None:
        self.peak_bytes, self._looks = 0, 0
        self._root = psutil.Process(pid)
        self._members: dict[int, psutil.Process] = {pid: self._root}
        self._cpu: dict[tuple[int, float], float] = {}

    @property
    def cpu_s(self) -> float:
        """Of all so far."""
        return sum(self._cpu.values())

    def look(self) -> None:
        """Read what each has taken."""
        if self._looks % LOOKS_A_CENSUS == 0:
            self._census()
        self._looks += 1
        for process in list(self._members.values()):
            try:
                times = process.cpu_times()
                self._cpu[process.pid, process.create_time()] = float(times.user + times.system)
            except psutil.Error:
                self._members.pop(process.pid, None)

    def _census(self) -> None:
        try:
            for child in self._root.children(recursive=True):
                self._members.setdefault(child.pid, child)
        except psutil.Error:
            return
        self.peak_bytes = max(self.peak_bytes, sum(map(_memory_bytes, self._members.values())))

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Nothing of it is left behind."""
        for one in reversed(list(self._members.values())):
            try:
                if one.is_running() and one.pid != process.pid:
                    one.terminate()
            except psutil.Error:
                continue
        process.terminate()
        process.wait()


def _memory_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0
