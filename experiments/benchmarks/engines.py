"""Seconds a round and peak memory of every engine: 8 hospitals, a CNN of 100 K parameters."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter

import numpy as np
import psutil
from rich.console import Console
from rich.progress import Progress

from common.errors import EngineError
from common.seeding import generator
from common.study.study import Study, parse
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.engines._quiet import Outcome, read_outcome

HOSPITALS = 8
IMAGES_A_HOSPITAL = 160
IMAGE_SIDE = 64
ROUNDS = {"inline": 8, "processes": 8, "simulation": 8, "nodes": 8, "deployment": 3}
LONGEST_RUN_S = 560
GROWTH = 1.02
STUDY = """
title = "Engines compared"
rounds = 8
seed = 1
source = { name = "medmnist" }
partition = { name = "iid", hospitals = 8 }
task = { name = "classification", network = "groupnorm_cnn" }
strategy = "fedavg"
aggregation = "plain"
training = { epochs = 1, batch_size = 32, learning_rate = 0.01 }
split = { validation = 0.0, test = 0.0 }
federation = { evaluate_every = 0, least_in_sum = 8, start_timeout_s = 240, round_timeout_s = 240 }
"""


@dataclass(frozen=True)
class Usage:
    """What one engine took. round_s: median of all rounds but the first. peak_mib: proportional set size.

    link_cpu_a_round_s: of the SuperLink alone, its start included; 0 where there is none.
    """

    round_s: float
    start_s: float
    total_s: float
    cpu_a_round_s: float
    peak_mib: float
    processes: int
    training_s: float
    model: str
    link_cpu_a_round_s: float = 0.0


def measure(console: Console) -> Measured:
    """Run the same study on each engine, one after the other, and compare."""
    usages: dict[str, Usage] = {}
    with TemporaryDirectory() as place, Progress(console=console, transient=True) as progress:
        _write_images(Path(place))
        bar = progress.add_task("engines", total=len(ROUNDS))
        for engine in ROUNDS:
            progress.update(bar, description=engine)
            usages[engine] = _run(engine, Path(place))
            progress.advance(bar)
    bound = usages["inline"].training_s / _cores()
    rows = [_row(engine, usage, bound) for engine, usage in usages.items()]
    return Measured(f"Engines: {HOSPITALS} hospitals, 100 K-parameter CNN", rows, _targets(usages, bound), _NOTES)


_NOTES = (
    "Training: seconds a round that the engine's own hospitals spent in training, spread over the cores it uses.",
    "Bound: those of inline, where a hospital has the machine and its memory to itself, spread over all cores.",
    "CPU seconds a round are of the whole machine from start to end, start included, over the number of rounds.",
    "deployment is stock Flower: a SuperLink, 8 SuperNodes, a fresh process for every message.",
    "nodes: the same SuperLink, with a data base on the disk, behind a front, and 8 nodes of ours that stay.",
    "SuperLink CPU: of that process alone, seconds a round, its start over the number of rounds included.",
)


def _write_images(place: Path) -> None:
    """Random images in the MedMNIST layout: an engine's cost does not depend on what is in them."""
    rng, count = generator(1, "benchmark images"), HOSPITALS * IMAGES_A_HOSPITAL
    images = rng.integers(0, 256, (count + 2, IMAGE_SIDE, IMAGE_SIDE), dtype=np.uint8)
    labels = np.arange(count + 2, dtype=np.uint8)[:, None] % 2
    parts = {"train": slice(0, count), "val": slice(count, count + 1), "test": slice(count + 1, count + 2)}
    arrays = {f"{name}_images": images[part] for name, part in parts.items()}
    arrays |= {f"{name}_labels": labels[part] for name, part in parts.items()}
    np.savez(place / "images.npz", allow_pickle=False, **arrays)


def _study(engine: str, place: Path) -> Study:
    return parse(STUDY, [f'source.folder="{place}"', f"rounds={ROUNDS[engine]}"])


def _run(engine: str, place: Path) -> Usage:
    study_file, folder = place / f"{engine}.toml", place / engine
    text = replace(_study(engine, place)).text.replace('engine = "processes"', f'engine = "{engine}"')
    study_file.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "experiments.benchmarks._engine_probe", str(study_file), str(folder)]
    begin, cpu = perf_counter(), _machine_cpu_s()
    with (place / f"{engine}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})
        watch = _Watch(process.pid)
        try:
            code = process.wait(LONGEST_RUN_S)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            watch.stop()
            process.terminate()
    if code != 0:
        said = (place / f"{engine}.log").read_text(encoding="utf-8", errors="replace")[-1500:]
        raise EngineError(f"the {engine} engine did not finish (exit status {code}): {said}")
    total, spent = perf_counter() - begin, _machine_cpu_s() - cpu
    return _usage(read_outcome(folder), total, spent, watch)


def _usage(outcome: Outcome, total_s: float, cpu_s: float, watch: _Watch) -> Usage:
    later = outcome.rounds[1:] or outcome.rounds
    seconds = [record["seconds"]["total"] for record in later]
    training = [sum(record["site_seconds"].values()) for record in later]
    return Usage(
        round_s=median(seconds),
        start_s=total_s - sum(record["seconds"]["total"] for record in outcome.rounds),
        total_s=total_s,
        cpu_a_round_s=cpu_s / len(outcome.rounds),
        peak_mib=watch.peak_bytes / 2**20,
        processes=watch.most_processes,
        training_s=median(training),
        model=outcome.about["model_sha256"],
        link_cpu_a_round_s=watch.link_cpu_s / len(outcome.rounds),
    )


class _Watch:
    """Reads the memory of a process and all that descend from it, twice a second.

    The proportional set size costs 10 ms a process, which would slow down what is measured; it is read only
    when the resident size, which is free, has grown.
    """

    def __init__(self, pid: int) -> None:
        self.peak_bytes, self.most_processes, self._resident_bytes = 0, 0, 0
        self.link_cpu_s = 0.0
        self._is_link: dict[int, bool] = {}
        self._done = Event()
        self._thread = Thread(target=self._look, args=(psutil.Process(pid),), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._done.set()
        self._thread.join()

    def _look(self, root: psutil.Process) -> None:
        while not self._done.wait(0.5):
            try:
                family = [root, *root.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            resident = sum(map(_resident_bytes, family))
            if resident > GROWTH * self._resident_bytes:
                self._resident_bytes = resident
                self.peak_bytes = max(self.peak_bytes, sum(map(_memory_bytes, family)))
            self.most_processes = max(self.most_processes, len(family))
            self.link_cpu_s = max(self.link_cpu_s, sum(map(self._link_cpu_s, family)))

    def _link_cpu_s(self, process: psutil.Process) -> float:
        """Of a process that is a SuperLink, 0 of any other."""
        try:
            if process.pid not in self._is_link:
                self._is_link[process.pid] = "flower-superlink" in process.cmdline()
            times = process.cpu_times()
            return float(times.user + times.system) if self._is_link[process.pid] else 0.0
        except psutil.Error:
            return 0.0


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _memory_bytes(process: psutil.Process) -> int:
    """Proportional set size: pages shared by n processes count 1/n in each."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


def _machine_cpu_s() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice)


def _cores() -> int:
    return min(HOSPITALS, len(os.sched_getaffinity(0)))


def _cores_used(engine: str) -> int:
    return 1 if engine == "inline" else _cores()


def _row(engine: str, usage: Usage, bound_s: float) -> dict[str, Cell]:
    return {
        "engine": engine,
        "s a round": usage.round_s,
        "training s": usage.training_s / _cores_used(engine),
        "ratio": usage.round_s * _cores_used(engine) / usage.training_s,
        "bound s": bound_s,
        "to bound": usage.round_s / bound_s,
        "start s": usage.start_s,
        "CPU s a round": usage.cpu_a_round_s,
        "SuperLink CPU s": usage.link_cpu_a_round_s,
        "peak MiB": round(usage.peak_mib),
        "processes": usage.processes,
        "model": usage.model[:12],
    }


def _targets(usages: dict[str, Usage], bound_s: float) -> list[Target]:
    ours, stock, nodes = (usages[engine].round_s for engine in ("processes", "deployment", "nodes"))
    training = usages["processes"].training_s / _cores()
    overhead = (stock - bound_s) / (ours - bound_s)
    same = len({usage.model for engine, usage in usages.items() if ROUNDS[engine] == ROUNDS["inline"]}) == 1
    return [
        Target(
            "processes: s a round / training", ours / training, None, 1.0, "at most 1.05", ours <= 1.05 * training
        ),
        Target("processes: s a round / bound", ours / bound_s, None, 1.0, "at most 1.05", ours <= 1.05 * bound_s),
        Target(
            "stock deployment / processes, s a round", stock / ours, None, None, "at least 20", stock / ours >= 20
        ),
        Target("the same without the training", overhead, None, None, "at least 20", overhead >= 20),
        Target("stock deployment / nodes, s a round", stock / nodes, None, None, "at least 5", stock / nodes >= 5),
        Target("nodes / processes, s a round", nodes / ours, None, None, "none", None),
        Target("one model on every engine of equal rounds", float(same), None, None, "bit-identical", same),
    ]


benchmark: Benchmark = measure
