"""A step of DP-SGD against a plain one, for a U-Net and a small CNN: ours by every way, and Opacus in every mode."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from statistics import median
from time import process_time

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress

from client.clipped_sums import WAYS
from common.allocator import keep_freed_memory
from common.data.cases import Batch
from common.learning.task import Task
from common.learning.tasks.classification import Classification
from common.learning.tasks.segmentation import Segmentation
from common.seeding import generator
from common.study.options import Entry
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._dp_steps import OPACUS, Step, StepProblem, ours, plain, torchs_noise

CHOSEN = "layers"
AIMS = {"demo's U-Net": 1.35, "U-Net": 1.35, "small CNN": 1.8}
REPEATS = {"unet": 11, "cnn": 51}


def measure(console: Console) -> Measured:
    """Steps of all kinds in turn, so that whatever else the machine does hits all of them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    keep_freed_memory()
    try:
        with Progress(console=console, transient=True) as progress:
            found = {problem.name: _medians(problem, progress) for problem in _problems()}
    finally:
        torch.set_num_threads(threads)
    rows = [_row(name, way, steps) for name, steps in found.items() for way in steps]
    return Measured("A step of DP-SGD on one thread", rows, _targets(found), _NOTES)


def _problems() -> list[StepProblem]:
    unet = "demo's U-Net, 121 K parameters, 8 x 64 x 64"
    wide = "U-Net, 483 K parameters, 16 x 64 x 64"
    cnn = "small CNN, 94 K parameters, 16 x 28 x 28"
    return [
        _outlines(unet, 8, 8),
        _outlines(wide, 16, 16),
        _problem(cnn, Classification(network=Entry("groupnorm_cnn")), (16, 1, 28, 28), (16,), 10),
    ]


def _outlines(name: str, channels: int, count: int) -> StepProblem:
    task = Segmentation(network=Entry("unet", {"channels": channels}))
    return _problem(name, task, (count, 1, 64, 64), (count, 64, 64), 5)


def _problem(name: str, task: Task, inputs: tuple[int, ...], targets: tuple[int, ...], classes: int) -> StepProblem:
    rng = generator(1, "steps of DP-SGD")
    images = torch.from_numpy(rng.standard_normal(inputs, np.float32))
    truth = torch.from_numpy(rng.integers(0, classes, targets))
    return StepProblem(name, task, Batch.of(images, truth, tuple(map(str, range(inputs[0])))), classes)


def _medians(problem: StepProblem, progress: Progress) -> dict[str, float | None]:
    """CPU milliseconds a step; None where Opacus cannot run the network."""
    steps: dict[str, Step] = {"plain": plain(problem)}
    steps |= {_named(way): ours(problem, WAYS[way]) for way in WAYS if way != "hooks"}
    steps["ours, layers, Opacus' noise"] = ours(problem, WAYS[CHOSEN], torchs_noise)
    steps |= {mode: build(problem) for mode, build in OPACUS.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runs = {name: _works(step) for name, step in steps.items()}
        spent: dict[str, list[float]] = {name: [] for name in steps}
        repeats = REPEATS["unet" if "U-Net" in problem.name else "cnn"]
        for _ in progress.track(range(repeats), description=problem.name):
            for name, step in steps.items():
                if runs[name]:
                    spent[name].append(_milliseconds(step))
    return {name: median(times) if times else None for name, times in spent.items()}


def _works(step: Step) -> bool:
    """Also a first run, which is not measured."""
    try:
        step()
    except (RuntimeError, NotImplementedError, AttributeError, TypeError, ValueError):
        return False
    return True


def _milliseconds(step: Step) -> float:
    begin = process_time()
    step()
    return 1000 * (process_time() - begin)


def _named(way: str) -> str:
    return f"ours, {way}" + (" (chosen)" if way == CHOSEN else "")


def _row(name: str, way: str, steps: Mapping[str, float | None]) -> dict[str, Cell]:
    spent = steps[way]
    return {
        "network": name,
        "step": way,
        "CPU ms": spent,
        "times plain": None if spent is None else round(spent / _known(steps["plain"]), 2),
    }


def _known(value: float | None) -> float:
    assert value is not None
    return value


def _targets(found: Mapping[str, Mapping[str, float | None]]) -> list[Target]:
    targets = []
    for name, steps in found.items():
        base = _known(steps["plain"])
        chosen = _known(steps[_named(CHOSEN)]) / base
        best = min(spent for mode in OPACUS if (spent := steps[mode]) is not None) / base
        short = name.partition(",")[0]
        aim = f"at most {AIMS[short]}, and no more than the best of Opacus"
        targets.append(Target(short, chosen, best, None, aim, chosen <= min(best, AIMS[short])))
    return targets


_NOTES = (
    "CPU time of whole steps, forward pass to changed parameters, medians of interleaved runs on random cases; peer: "
    "Opacus' fastest mode. A dash: Opacus cannot run the network that way.",
    "Freed memory is kept, as in a hospital's own process: pages of new memory would cost every step alike.",
    "Our steps' noise comes from the operating system, on a grid that no last bit tells values from; Opacus' modes "
    "draw theirs by torch.normal, which promises neither.",
    "plain and ours have channels innermost; Opacus computes wrong gradients there, so its networks have them "
    "outermost.",
)

benchmark: Benchmark = measure
