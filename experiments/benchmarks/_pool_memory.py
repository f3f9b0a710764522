"""What a hospital's process keeps for itself where many share one data set."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic, sleep

import psutil

from common.errors import EngineError

STUDY = """
title = "MNIST in many hospitals"
rounds = 3
seed = 1
engine = "processes"
strategy = "fedavg"
aggregation = "plain"
source = {{ name = "mnist", folder = "{folder}" }}
partition = {{ name = "iid", hospitals = {hospitals} }}
task = {{ name = "classification", network = "mcmahan_cnn" }}
training = {{ steps = 5, batch_size = 10, learning_rate = 0.1 }}
federation = {{ evaluate_every = 0 }}
"""
LOOK_EVERY_S = 2.0


@dataclass(frozen=True)
class Memory:
    """original_gb: of the four files. own_mib: what is a process' alone, in the median of hospitals, at the look
    where that was most; most_own_mib: the most that any had at any look, at work.
    """

    hospitals: int
    original_gb: float
    own_mib: float
    most_own_mib: float
    seconds: float


def pool_memory(data: Path, place: Path, hospitals: int) -> Memory:
    """Train the CNN of 1.6 million parameters in `hospitals` processes that share MNIST, and look at each of them."""
    place.mkdir(parents=True)
    study = place / "study.toml"
    study.write_text(STUDY.format(folder=data, hospitals=hospitals), encoding="utf-8")
    command = [sys.executable, "-m", "experiments.benchmarks._engine_probe", str(study), str(place / "run")]
    begin, medians, most = monotonic(), [0.0], 0.0
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            own = _own_mib(psutil.Process(process.pid))
            if len(own) >= hospitals:
                medians.append(median(own))
                most = max(most, *own)
            sleep(LOOK_EVERY_S)
    if process.returncode:
        raise EngineError(f"the run of {hospitals} hospitals ended with {process.returncode}.")
    size_gb = sum(path.stat().st_size for path in data.iterdir() if path.is_file()) / 1e9
    return Memory(hospitals, size_gb, max(medians[1:] or medians), most, monotonic() - begin)


def _own_mib(root: psutil.Process) -> list[float]:
    """Of every process that was forked from another of them: of hospitals, not of the coordinator."""
    found: list[float] = []
    try:
        for child in root.children():
            found += map(_uss_mib, child.children())
    except psutil.Error:
        return []
    return found


def _uss_mib(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().uss) / 2**20
    except psutil.Error:
        return 0.0
