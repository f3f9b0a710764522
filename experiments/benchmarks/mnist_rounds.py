"""McMahan's claim on real MNIST: rounds and bytes to 97 %, FedSGD against FedAvg, 100 clients, C = 0.1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.progress import Progress

from common.study.study import Study, parse
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._data import find
from experiments.engines._quiet import Outcome, run_quietly

TARGET_ACCURACY = 0.97
STUDY = """
title = "MNIST, 100 clients, C = 0.1"
rounds = 4000
seed = 2017
engine = "inline"
source = { name = "mnist" }
task = { name = "classification", network = "mcmahan_2nn" }
split = { validation = 0.0, test = 0.1 }
federation = { client_fraction = 0.1, evaluate_split = "test", stop_at_score = 0.97 }
"""


@dataclass(frozen=True)
class Setting:
    """One row: an algorithm, a partition, its learning rate and how often it is evaluated."""

    algorithm: str
    partition: str
    learning_rate: float
    evaluate_every: int


SETTINGS = (
    Setting("fedsgd", "iid", 0.3, 10),
    Setting("fedavg", "iid", 0.1, 1),
    Setting("fedsgd", "shards", 0.2, 10),
    Setting("fedavg", "shards", 0.05, 2),
)


def measure(console: Console) -> Measured:
    """Run every setting until the pooled test accuracy is reached; one seed, the 2NN of 199,210 parameters."""
    folder = find("mnist")
    rows: list[dict[str, Cell]] = []
    with TemporaryDirectory() as place, Progress(console=console, transient=True) as progress:
        bar = progress.add_task("rounds to 97 %", total=len(SETTINGS))
        for index, setting in enumerate(SETTINGS):
            progress.update(bar, description=f"{setting.algorithm}, {setting.partition}")
            rows.append(_row(setting, run_quietly(study(setting, folder), Path(place) / str(index))))
            progress.advance(bar)
    return Measured("Rounds to 97 % on MNIST: 2NN, 100 clients, C = 0.1", rows, _targets(rows), _NOTES)


def study(setting: Setting, folder: Path) -> Study:
    """The study of one row. FedAvg: E = 5, B = 10; FedSGD: the full gradient of each of the 10 clients."""
    common = [
        f'source.folder="{folder}"',
        f"partition.name={setting.partition}",
        "partition.hospitals=100",
        f"strategy={setting.algorithm}",
        f"federation.evaluate_every={setting.evaluate_every}",
    ]
    if setting.algorithm == "fedsgd":
        own = [f"strategy.learning_rate={setting.learning_rate}", "training.batch_size=full"]
    else:
        own = ["training.epochs=5", "training.batch_size=10", f"training.learning_rate={setting.learning_rate}"]
    return parse(STUDY, [*common, *own])


def rounds_to(outcome: Outcome, accuracy: float) -> float:
    """Rounds until the pooled accuracy is first reached, interpolated as in the paper; NaN where it never is."""
    before: tuple[float, float] | None = None
    for record in outcome.rounds:
        point = _point(record)
        if point is None:
            continue
        if point[1] >= accuracy:
            if before is None:
                return point[0]
            share = (accuracy - before[1]) / (point[1] - before[1])
            return before[0] + share * (point[0] - before[0])
        before = point
    return math.nan


def _point(record: dict[str, Any]) -> tuple[float, float] | None:
    evaluation = record["evaluation"]
    return None if evaluation is None else (evaluation["of_round"], evaluation["pooled"]["accuracy"])


def _row(setting: Setting, outcome: Outcome) -> dict[str, Cell]:
    rounds = rounds_to(outcome, TARGET_ACCURACY)
    each_way = 4 * outcome.about["parameters"] * 10
    reached = math.isfinite(rounds)
    return {
        "algorithm": setting.algorithm,
        "clients": {"iid": "IID", "shards": "2 classes each"}[setting.partition],
        "learning rate": setting.learning_rate,
        "rounds to 97 %": round(rounds, 1) if reached else None,
        "MB up": round(rounds * each_way / 1e6) if reached else None,
        "MB up and down": round(2 * rounds * each_way / 1e6) if reached else None,
        "seconds": round(outcome.about["seconds"], 1),
    }


_NOTES = (
    "Bytes are of models and updates of the 10 selected clients; evaluation travels beside them and is not counted.",
    "The test accuracy is the exact mean over all clients' shares of the official test set.",
    "One seed. McMahan et al. 2017, Table 1 and 2, publish for 2NN: FedSGD 1474 (IID) and 1796 (non-IID) rounds; "
    "FedAvg with E = 1, B = 10: 87 and 664.",
)


def _targets(rows: list[dict[str, Cell]]) -> list[Target]:
    targets = []
    for clients in ("IID", "2 classes each"):
        sgd, avg = (r["rounds to 97 %"] for r in rows if r["clients"] == clients)
        ratio = sgd / avg if isinstance(sgd, float) and isinstance(avg, float) else None
        met = None if ratio is None else ratio > 1
        name = f"rounds of FedSGD / rounds of FedAvg, {clients}"
        published = {"IID": 1474 / 87, "2 classes each": 1796 / 664}[clients]
        targets.append(Target(name, ratio, published, None, "FedAvg needs fewer rounds", met))
    return targets


benchmark: Benchmark = measure
