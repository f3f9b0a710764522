"""Heart disease under patient-level privacy, 5 seeds: accuracy against epsilon, beside FLamby's published sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.progress import Progress
from safetensors.numpy import load_file

from client.evaluation import evaluate
from client.hospital import open_hospital, site_names
from common.learning.parameters import write
from common.study.study import Study, parse
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._data import find
from experiments.benchmarks._log_chart import log_chart
from experiments.benchmarks.heart import SEEDS, STUDY
from experiments.engines._quiet import run_quietly

EPSILONS = (10.0, 1.0, 0.1)
PUBLISHED = {None: 0.7125, 10.0: None, 1.0: 0.6853, 0.1: 0.6056}
"""FLamby's figures, without privacy and with it; single samples, here one a patient, delta 1e-4."""
CLIP_NORM, DELTA = 1.0, 1e-4
PLOT = Path("heart-dp.svg")


@dataclass(frozen=True)
class Setting:
    """Rounds of one full gradient each, and the server's step; chosen on other splits than the test cases'."""

    rounds: int
    learning_rate: float


SETTINGS: dict[tuple[str, float | None], Setting] = {
    ("none", None): Setting(60, 0.5),
    ("local", 10.0): Setting(30, 0.5),
    ("local", 1.0): Setting(15, 0.5),
    ("local", 0.1): Setting(1, 1.0),
    ("distributed", 10.0): Setting(40, 0.5),
    ("distributed", 1.0): Setting(30, 0.5),
    ("distributed", 0.1): Setting(6, 0.5),
}
GRADIENTS = ("strategy={name='fedsgd',learning_rate=%g}", "training={batch_size='full'}", "rounds=%d")
LOCAL = "privacy={name='dpsgd',clip_norm=%g,delta=%g,epsilon=%g}"
DISTRIBUTED = "privacy={name='distributed',clip_norm=%g,delta=%g,epsilon=%g,sampling_rate=1.0}"


def accuracies(folder: Path, place: Path, noise: str, epsilon: float | None, setting: Setting) -> list[float]:
    """One a seed: the mean of the hospitals' test accuracies."""
    return [_accuracy(folder, place, noise, epsilon, setting, seed) for seed in SEEDS]


def _accuracy(folder: Path, place: Path, noise: str, epsilon: float | None, setting: Setting, seed: int) -> float:
    overrides = [f'source.folder="{folder}"', f"seed={seed}", GRADIENTS[1]]
    overrides += [GRADIENTS[0] % setting.learning_rate, GRADIENTS[2] % setting.rounds]
    if noise == "local":
        overrides.append(LOCAL % (CLIP_NORM, DELTA, epsilon))
    if noise == "distributed":
        overrides += [DISTRIBUTED % (CLIP_NORM, DELTA, epsilon), "aggregation=secagg"]
    study = parse(STUDY, overrides)
    run_quietly(study, place / f"{noise}-{epsilon}-{seed}")
    return mean_accuracy(study, place / f"{noise}-{epsilon}-{seed}")


def mean_accuracy(study: Study, run: Path, split: str = "test") -> float:
    """Mean over hospitals of the final model's accuracy; taken here, since masked sums hide single hospitals'."""
    tensors = load_file(run / "model.safetensors")
    parameters = np.concatenate([tensors[name].reshape(-1) for name in sorted(tensors)]).astype(np.float32)
    found = []
    for index in range(len(site_names(study))):
        hospital = open_hospital(study.json, index)
        write(hospital.network, parameters)
        found.append(evaluate(hospital.task, hospital.network, hospital.splits[split])["accuracy"].value)
    return fmean(found)


def measure(console: Console) -> Measured:
    """Every noise and epsilon, 5 seeds each, in the order of SETTINGS; a plot is written too."""
    folder = find("heart", "heart-disease-4centre")
    found: dict[tuple[str, float | None], list[float]] = {}
    with TemporaryDirectory() as place, Progress(console=console, transient=True) as progress:
        bar = progress.add_task("heart-dp", total=len(SETTINGS))
        for (noise, epsilon), setting in SETTINGS.items():
            progress.update(bar, description=f"{noise} {epsilon or ''}")
            found[noise, epsilon] = accuracies(folder, Path(place), noise, epsilon, setting)
            progress.advance(bar)
    PLOT.write_text(plot(found), encoding="utf-8")
    rows = [_row(noise, epsilon, accuracy) for (noise, epsilon), accuracy in found.items()]
    title = "Heart disease, 4 hospitals, 5 seeds, patient-level privacy at delta 1e-4: mean test accuracy"
    return Measured(title, rows, _targets(found), (*_NOTES, f"The plot of accuracy against epsilon is in {PLOT}."))


def _row(noise: str, epsilon: float | None, accuracy: list[float]) -> dict[str, Cell]:
    setting = SETTINGS[noise, epsilon]
    return {
        "noise": noise,
        "epsilon": epsilon,
        "rounds": setting.rounds,
        "accuracy": round(fmean(accuracy), 4),
        "sd over seeds": round(stdev(accuracy), 4),
        "FLamby published": PUBLISHED.get(epsilon),
    }


def _targets(found: dict[tuple[str, float | None], list[float]]) -> list[Target]:
    targets = []
    for (noise, epsilon), accuracy in found.items():
        published, bound = PUBLISHED.get(epsilon), fmean(found["none", None])
        if published is not None:
            ours = fmean(accuracy)
            name = f"{noise}, epsilon {epsilon:g}" if epsilon else "no noise"
            targets.append(Target(name, ours, published, bound, "at least FLamby's", ours >= published))
    return targets


def plot(found: Mapping[tuple[str, float | None], list[float]]) -> str:
    """An SVG: accuracy against epsilon on a log axis, a line a kind of noise, FLamby's points beside."""
    lines = {
        f"{kind} noise": [(epsilon, fmean(a)) for (noise, epsilon), a in found.items() if noise == kind and epsilon]
        for kind in ("distributed", "local")
    }
    lines["FLamby, published"] = [(epsilon, value) for epsilon, value in PUBLISHED.items() if epsilon and value]
    bar = fmean(found["none", None])
    return str(log_chart(lines, bar, "epsilon, patient-level, delta 1e-4", "mean test accuracy of four hospitals"))


_NOTES = (
    "none: FedSGD without noise. local: every hospital adds all its noise itself (dpsgd). distributed: each adds its "
    "share, and the sum is made under masks (secagg), so the same epsilon takes half the noise with 4 hospitals.",
    "A round is one full gradient of every hospital; numbers of rounds and steps were chosen on validation cases "
    "taken from the training cases, with other seeds. FLamby's sweep: FedAvg with Opacus, its own settings.",
)

benchmark: Benchmark = measure
