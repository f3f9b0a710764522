"""What an installation costs: megabytes on the disk, imports in CPU seconds and memory, time to the first round."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import psutil
from rich.console import Console

from experiments.benchmark import Benchmark, Cell, Measured, Target

IMPORTS = ("experiments.cli", "torch", "client.app", "server.app")
CLIENT_CPU_S, FIRST_ROUND_S = 2.0, 7.0
LONGEST_S = 600.0
MIB = 1 << 20
NOTES = (
    "CPU s: of the process and all it started, whatever else the machine does. s: by the clock; targets are of "
    "an idle machine with two cores.",
    "First round: from `wardround run demo` to the line of round 1, data made and processes started.",
)


def measure(console: Console) -> Measured:
    """Each in a process of its own."""
    with console.status("importing"):
        rows = [_imported(module) for module in IMPORTS]
    with console.status("the demo's first round"):
        rows.append(first_round())
    rows.append({"what": "site-packages", "CPU s": None, "s": None, "MiB": round(_size_of_packages() / MIB)})
    client, first = rows[IMPORTS.index("client.app")]["CPU s"], rows[len(IMPORTS)]["s"]
    return Measured("What an installation costs", rows, _targets(client, first), NOTES)


def _targets(client: Cell, first: Cell) -> Sequence[Target]:
    assert isinstance(client, float) and isinstance(first, float)
    return (
        Target("import client.app, CPU s", client, None, CLIENT_CPU_S, "at most 2", client <= CLIENT_CPU_S),
        Target("first round of the demo, s", first, None, FIRST_ROUND_S, "at most 7", first <= FIRST_ROUND_S),
    )


def _imported(module: str) -> dict[str, Cell]:
    began = monotonic()
    process = subprocess.Popen([sys.executable, "-c", f"import {module}"])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu_s, peak_mib = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    return {"what": f"import {module}", "CPU s": cpu_s, "s": monotonic() - began, "MiB": round(peak_mib)}


def first_round(*settings: str, study: str = "demo") -> dict[str, Cell]:
    """Until rounds.jsonl is there; the run is ended then. MiB: of all its processes, shared memory counted once."""
    with TemporaryDirectory(prefix="wardround-install-") as temporary:
        folder = Path(temporary) / "run"
        began = monotonic()
        with _running(study, folder, settings) as process:
            while not (folder / "rounds.jsonl").exists():
                if process.poll() is not None or monotonic() - began > LONGEST_S:
                    raise RuntimeError(f"no first round: the run ended with {process.poll()}.")
                sleep(0.02)
            seconds, all_of_it = monotonic() - began, _family(process.pid)
            cpu_s = sum(sum(one.cpu_times()[:2]) for one in all_of_it)
            memory = sum(getattr(one.memory_full_info(), "pss", 0) for one in all_of_it)
    return {"what": f"{study}: first round", "CPU s": cpu_s, "s": seconds, "MiB": round(memory / MIB) or None}


@contextmanager
def _running(study: str, folder: Path, settings: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "experiments.cli", "run", study, "--folder", str(folder)]
    for setting in settings:
        command += ["--set", setting]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _family(pid: int) -> list[psutil.Process]:
    first = psutil.Process(pid)
    return [first, *first.children(recursive=True)]


def _size_of_packages() -> int:
    """Bytes on the disk of everything in this environment."""
    folder = Path(sysconfig.get_path("purelib"))
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


benchmark: Benchmark = measure
