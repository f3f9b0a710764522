"""Heart disease in 4 hospitals, 5 seeds: accuracy beside FLamby's published federated figures."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import Progress

from common.errors import SourceError
from common.study import Study, parse
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._data import find
from experiments.pooled import train_pooled
from experiments.quiet import run_quietly

SEEDS = (42, 43, 44, 45, 46)
PUBLISHED_BEST = 0.731
PUBLISHED_POOLED = 0.735
STUDY = """
title = "Heart disease, FLamby's protocol"
rounds = 15
engine = "inline"
source = { name = "heart", given_split = "flamby" }
task = { name = "classification", network = "logistic" }
strategy = "fedavg"
training = { steps = 100, batch_size = 4, learning_rate = 0.001 }
split = { validation = 0.0, test = 0.34 }
federation = { evaluate_every = 0, minimum_hospitals = 4 }
"""


@dataclass(frozen=True)
class Setting:
    """One strategy and its settings. published: FLamby's name for it."""

    strategy: str
    published: str
    overrides: tuple[str, ...]


def published_means(folder: Path) -> dict[str, list[float]]:
    """Per method, one figure a seed: the mean over the four hospitals' test accuracies."""
    by_run: dict[tuple[str, str], list[float]] = defaultdict(list)
    for path in sorted(folder.glob("results/results_benchmark_fed_heart_disease/*.csv")):
        with path.open(newline="") as lines:
            for row in csv.DictReader(lines):
                if row["Test"].startswith("client_test"):
                    by_run[row["Method"], row["seed"]].append(float(row["Metric"]))
    means: dict[str, list[float]] = defaultdict(list)
    for (method, _), accuracies in sorted(by_run.items()):
        means[method.removesuffix("100")].append(fmean(accuracies))
    return dict(means)


SETTINGS = (
    Setting("fedsgd", "", ()),
    Setting("fedavg", "FedAvg", ()),
    Setting("fedprox", "FedProx", ()),
    Setting("scaffold", "Scaffold", ()),
    Setting("fedavgm", "", ()),
    Setting("fedadagrad", "FedAdagrad", ()),
    Setting("fedadam", "FedAdam", ()),
    Setting("fedyogi", "FedYogi", ()),
)
benchmark: Benchmark
