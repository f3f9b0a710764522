"""Gradient inversion beside breaching: PSNR of ten images from gradients and FedAvg updates, in equal CPU seconds."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor

from common.learning.client_work import Training
from common.learning.parameters import trainable
from common.learning.tasks.classification import soft_cross_entropy
from common.seeding import entropy
from experiments.attacks.inversion import problem as searched
from experiments.attacks.inversion.differentiable_client import Victim
from experiments.attacks.matching import Matching
from experiments.attacks.multi_step import MultiStep
from experiments.audit.questions._similarity import fitted, psnr_db, ssim
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._inversion_problems import (
    CLASSES,
    HIGH,
    LOCAL_LEARNING_RATE,
    LOCAL_STEPS,
    LOW,
    MEAN,
    STANDARD_DEVIATION,
    CapturedUpdate,
    networks,
    problems,
)
from experiments.evidence.budget import Budget

PEERS_PYTHON = "WARDROUND_PEERS_PYTHON"
PEERS = ("breaching, modern", "breaching, invertinggradients")
OURS = "ours"
SECONDS = {0: 3.0, LOCAL_STEPS: 5.0}
"""CPU seconds an image, by the number of local steps."""

IMAGES = {0: 10, LOCAL_STEPS: 3}
LONGEST_PEERS_S = 3600

Found = tuple[NDArray[np.float32], float]
"""(1, 3, 32, 32) standardised, and the CPU seconds it took."""


def measure(console: Console) -> Measured:
    """Our strongest attack in this process, breaching in the Python that WARDROUND_PEERS_PYTHON names."""
    torch.set_num_threads(1)
    measured: list[dict[str, Cell]] = []
    for steps, seconds in SECONDS.items():
        given = [one for one in problems(steps) if one.number < IMAGES[steps]]
        with console.status(f"{len(given)} problems of {_work(steps)}"), ThreadPoolExecutor(1) as beside:
            waiting = beside.submit(peers, given, seconds)
            found = {OURS: [ours(one, seconds) for one in given]}
            found |= waiting.result()
        measured += rows(given, found)
    return Measured("Gradient inversion, 32 x 32 images, batch 1, labels known", measured, targets(measured), _NOTES)


_NOTES = (
    f"Peers run in the Python that {PEERS_PYTHON} names; without breaching in it their rows are not measured.",
    "PSNR dB: mean over images. fitted: after an affine fit of each channel. each: PSNR image by image.",
    "All get the same gradient, network, label, range of values and CPU seconds; how many iterations of breaching "
    "fit is found beforehand, by timing 20 and 100. Its prior of features does not run on updates of several steps.",
)


def ours(problem: CapturedUpdate, seconds: float) -> Found:
    """What our strongest attack makes of it."""
    generator = torch.Generator().manual_seed(entropy(5, "inversion benchmark", "attack") % 2**63)
    began = process_time()
    budget = Budget(seconds, process_time)
    victim = Victim(networks()[problem.network].train(), _losses)
    task = searched.InversionProblem(
        victim,
        _by_name(victim, problem.captured),
        (1, *problem.image.shape[1:]),
        (1, CLASSES),
        np.array([problem.label]),
    )
    if problem.steps:
        training = Training(learning_rate=LOCAL_LEARNING_RATE)
        batches = [np.array([0])] * problem.steps
        attack = MultiStep(lowest=LOW, highest=HIGH)
        attempt = attack.search(task, batches, training, 0.0, generator, budget)
    else:
        attempt = Matching(lowest=LOW, highest=HIGH).search(task, generator, budget)
    return attempt.inputs.numpy(), process_time() - began


def _losses(network: torch.nn.Module, inputs: Tensor, truth: Tensor) -> Tensor:
    return soft_cross_entropy(network(inputs), truth)


def _by_name(victim: Victim, captured: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """From the network's own order to that of the parameters' names."""
    own = dict(zip((name for name, _ in victim.network.named_parameters()), captured, strict=True))
    return tuple(own[name] for name, _ in trainable(victim.network))


def peers(given: Sequence[CapturedUpdate], seconds: float) -> dict[str, list[Found]]:
    """The same of breaching's attacks; nothing where there is no Python that has it."""
    python = os.environ.get(PEERS_PYTHON)
    if not python:
        return {}
    with TemporaryDirectory() as place:
        task, results = Path(place) / "problems.pt", Path(place) / "results.npz"
        plain = [
            asdict(one) | {"mean": MEAN, "std": STANDARD_DEVIATION, "learning_rate": LOCAL_LEARNING_RATE}
            for one in given
        ]
        torch.save({"problems": plain, "networks": networks()}, task)
        script = Path(__file__).with_name("_inversion_peers.py")
        try:
            subprocess.run(
                [python, script, task, results, str(seconds)],
                capture_output=True,
                timeout=LONGEST_PEERS_S,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return {}
        with np.load(results) as made:
            return {name: [_of_peer(made, name, index) for index in range(len(given))] for name in PEERS}


def _of_peer(made: Mapping[str, NDArray[np.float32]], name: str, index: int) -> Found:
    key = f"{name.split(', ')[1]}/{index}"
    return made[f"{key}/image"], float(made[f"{key}/seconds"])


def _work(steps: int) -> str:
    return f"update of {steps} steps" if steps else "gradient"


def rows(given: Sequence[CapturedUpdate], found: Mapping[str, Sequence[Found]]) -> list[dict[str, Cell]]:
    """One for every network and program; what was not found is not measured."""
    made = []
    for network in dict.fromkeys(one.network for one in given):
        for program in (OURS, *PEERS):
            pairs = zip(given, found.get(program, ()), strict=False)
            chosen = [(one, image) for one, image in pairs if one.network == network]
            made.append(_row(network, _work(given[0].steps), program, chosen))
    return made


def _row(network: str, work: str, program: str, chosen: Sequence[tuple[CapturedUpdate, Found]]) -> dict[str, Cell]:
    named: dict[str, Cell] = {"network": network, "captured": work, "program": program}
    if not chosen:
        return named | dict.fromkeys(("PSNR dB", "fitted", "SSIM", "CPU s"), None) | {"each": "not measured"}
    pairs = [(one.image[0].numpy(), made[0].clip(LOW, HIGH)) for one, (made, _) in chosen]
    span = HIGH - LOW
    each = [psnr_db(truth, guess, span) for truth, guess in pairs]
    return named | {
        "PSNR dB": fmean(each),
        "fitted": fmean(psnr_db(truth, fitted(truth, guess), span) for truth, guess in pairs),
        "SSIM": fmean(ssim(truth, guess, span) for truth, guess in pairs),
        "CPU s": fmean(seconds for _, (_, seconds) in chosen),
        "each": " ".join(f"{one:.0f}" for one in each),
    }


def targets(rows: Sequence[Mapping[str, Cell]]) -> list[Target]:
    """Of every network and kind of update: our mean PSNR beside that of breaching's best attack."""
    stated = []
    for network, work in dict.fromkeys((row["network"], row["captured"]) for row in rows):
        figures = {
            row["program"]: row["PSNR dB"] for row in rows if (row["network"], row["captured"]) == (network, work)
        }
        own = _number(figures[OURS])
        others = [_number(figures[name]) for name in PEERS if figures[name] is not None]
        peer = max(others, default=None)
        met = None if peer is None else own >= peer
        stated.append(Target(f"{network}, {work}: PSNR dB", own, peer, None, "at least breaching's best", met))
    return stated


def _number(cell: Cell) -> float:
    assert isinstance(cell, float)
    return cell


benchmark: Benchmark = measure
