"""The same work on the CPU and on a GPU: training of U-Nets and of registration, a private step, an inversion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from client.private_training import PrivateTrainer
from client.training import Trainer
from common.data.cases import Cases
from common.learning.abilities import can
from common.learning.client_work import Training
from common.learning.device import chosen, described, gpus, placed, repeatable
from common.learning.parameters import new_network, read
from common.privacy.noise import SeededNoise, gaussian
from common.seeding import generator, torch_generator
from common.study.catalogue import TASKS
from common.study.options import Entry
from experiments.attacks.inversion.differentiable_client import Victim
from experiments.attacks.inversion.losses import soft_losses, truth_shape
from experiments.attacks.inversion.problem import InversionProblem
from experiments.attacks.inverting_gradients import InvertingGradients
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.evidence.budget import Budget

REPEATS = 3
STEPS, ITERATIONS = 2, 10
Result = NDArray[np.float32]
Precision = Literal["float32", "bfloat16"]
TimedWork = Callable[[torch.device], Callable[[], Result]]
"""From a device to what is timed there, ready to run; it gives the same every time, if the device can."""


@dataclass(frozen=True)
class Timed:
    """Milliseconds of one run, and whether two runs gave the same bits."""

    milliseconds: float
    same: bool


def measure(console: Console) -> Measured:
    """On the CPU with all its threads, and on the GPU where there is one."""
    gpu = chosen("auto")
    rows = []
    for name, work in WORKS.items():
        with console.status(name):
            rows.append(_row(name, _timed(work, chosen("cpu")), _timed(work, gpu) if gpu.type == "cuda" else None))
    return Measured("The same work on the CPU and on a GPU", rows, _targets(rows), _notes())


def _notes() -> Sequence[str]:
    found = (
        f"GPU: {described()}." if gpus() else "This machine has no GPU that torch finds: only the CPU was measured."
    )
    return (
        found,
        f"Wall time, medians of {REPEATS} runs after one that is not counted; {torch.get_num_threads()} CPU threads. "
        "same bits: two runs there, with deterministic algorithms and without TF32. Batches travel to the GPU anew "
        "in every step, as in a hospital.",
        "Registration of two images by itself (`wardround register`) and all protocols of sums stay on the CPU.",
    )


def _timed(work: TimedWork, device: torch.device) -> Timed:
    with repeatable(device):
        run = work(device)
        first, spent = run(), []
        for _ in range(REPEATS):
            begin = perf_counter()
            last = run()
            spent.append(1000 * (perf_counter() - begin))
    return Timed(median(spent), np.array_equal(first, last))


def _row(name: str, cpu: Timed, gpu: Timed | None) -> dict[str, Cell]:
    return {
        "work": name,
        "CPU ms": round(cpu.milliseconds, 1),
        "GPU ms": None if gpu is None else round(gpu.milliseconds, 1),
        "times as fast": None if gpu is None else round(cpu.milliseconds / gpu.milliseconds, 1),
        "same bits on the CPU": _said(cpu.same),
        "same bits on the GPU": None if gpu is None else _said(gpu.same),
    }


def _said(same: bool) -> str:
    return "yes" if same else "no"


def _targets(rows: Sequence[dict[str, Cell]]) -> list[Target]:
    found = []
    for device in ("CPU", "GPU"):
        said = [row[f"same bits on the {device}"] for row in rows]
        met = None if None in said else "no" not in said
        found.append(Target(f"two runs on the {device}", None, None, None, "the same bits", met))
    return found


def _training(task: Any, inputs: tuple[int, ...], count: int, precision: Precision = "float32") -> TimedWork:
    """Some steps of Adam on a batch of all cases."""
    training = Training(batch_size="full", steps=STEPS, optimiser="adam", precision=precision)

    def ready(device: torch.device) -> Callable[[], Result]:
        cases = _cases(task, inputs, count)

        def run() -> Result:
            network = placed(new_network(task, cases.shape, 1), device)
            Trainer(task, network, cases, training, generator(1, "device benchmark")).train()
            return read(network)

        return run

    return ready


def _private(task: Any, inputs: tuple[int, ...], count: int) -> TimedWork:
    """One noisy sum of clipped gradients, every patient in it."""

    def ready(device: torch.device) -> Callable[[], Result]:
        cases = _cases(task, inputs, count)
        network = placed(new_network(task, cases.shape, 1), device)

        def run() -> Result:
            rng, noise = generator(1, "sampling"), SeededNoise(generator(1, "noise"))
            return PrivateTrainer(
                task, network, cases, Training(), 1.0, gaussian(1.0, noise), "patient", 1.0, rng
            ).noisy_sum()

        return run

    return ready


def _inversion(task: Any, inputs: tuple[int, ...]) -> TimedWork:
    """Some iterations of Inverting Gradients on the gradient of one case."""

    def ready(device: torch.device) -> Callable[[], Result]:
        cases = _cases(task, inputs, 1)
        network = placed(new_network(task, cases.shape, 1), device).train()
        victim, batch = Victim(network, soft_losses(task)), cases.batch().to(device)
        loss = task.loss(network, batch).mean()
        captured = torch.autograd.grad(loss, victim.parameters)
        problem = InversionProblem(victim, captured, (1, *inputs), truth_shape(task, cases.shape, 1))

        def run() -> Result:
            search, draws = InvertingGradients(iterations=ITERATIONS), torch_generator(1, "device benchmark")
            return np.asarray(search.search(problem, draws, Budget(1e6)).inputs.numpy())

        return run

    return ready


def _cases(task: Any, inputs: tuple[int, ...], count: int) -> Cases:
    """Made-up cases of 3 classes, a patient each."""
    rng = generator(1, "device benchmark", "cases")
    shape = inputs if can(task, "target_form") else inputs[1:]
    targets = rng.integers(0, 3, (count, *shape)).astype(np.uint8)
    images = rng.random((count, *inputs), np.float32)
    return Cases.of(images, targets, [f"p{index}" for index in range(count)], ("none", "one", "two"))


def _segmentation(channels: int, depth: int) -> Any:
    return TASKS.build(Entry("segmentation", {"network": {"name": "unet", "channels": channels, "depth": depth}}))


def _registration() -> Any:
    return TASKS.build(Entry("registration", {"network": "voxelmorph"}))


WORKS: dict[str, TimedWork] = {
    f"U-Net, 16 x 96 x 96, {STEPS} steps": _training(_segmentation(16, 3), (1, 96, 96), 16),
    f"U-Net in bfloat16, 16 x 96 x 96, {STEPS} steps": _training(_segmentation(16, 3), (1, 96, 96), 16, "bfloat16"),
    f"U-Net, 2 x 48 x 48 x 48, {STEPS} steps": _training(_segmentation(8, 3), (1, 48, 48, 48), 2),
    "DP step, U-Net, 16 x 64 x 64": _private(_segmentation(16, 3), (1, 64, 64), 16),
    f"inversion, U-Net, 64 x 64, {ITERATIONS} iterations": _inversion(_segmentation(8, 3), (1, 64, 64)),
    f"VoxelMorph, 8 x 96 x 96, {STEPS} steps": _training(_registration(), (2, 96, 96), 8),
    f"VoxelMorph, 2 x 32 x 32 x 32, {STEPS} steps": _training(_registration(), (2, 32, 32, 32), 2),
}

benchmark: Benchmark = measure
