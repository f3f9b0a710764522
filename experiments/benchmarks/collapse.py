"""The alarm for collapse: quiet where six methods learn, and how soon it goes where collapses were planted.

Real tasks and real training in a small federation without an engine (`_collapse_federation`). Thresholds of
`server.collapse` were chosen on seed 100; what is reported here are seeds that played no part in it.
"""

from __future__ import annotations

import os
from statistics import median
from time import process_time

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._collapse_federation import ROUNDS, Way, first_alarm, reset_teacher
from experiments.benchmarks._data import find

SEEDS = int(os.environ.get("WARDROUND_COLLAPSE_SEEDS", "5"))
"""Fewer for a look; the table is of 5."""
NO_CENTRE = {"centre_momentum": 1.0}
LIVELY = {"centre_momentum": 0.5, "momentum": 0.996}
HEALTHY = (
    Way("simclr"),
    Way("triplet"),
    Way("byol", options=LIVELY),
    Way("dino", options={"prototypes": 64, "teacher_temperature": 0.02}, training={"learning_rate": 5e-4}),
    Way("mae"),
    Way("ijepa"),
)
PLANTED = (
    Way("byol", "teacher reset each round, no centre", NO_CENTRE, broken=reset_teacher),
    Way("byol", "no centre", NO_CENTRE),
    Way("dino", "even answers (ln K)", {"prototypes": 64, "momentum": 0.9, "teacher_temperature": 0.1}),
    Way("dino", "one prototype for all", {**NO_CENTRE, "prototypes": 64, "momentum": 0.9}),
    Way("simclr", "images all alike", constant=True),
    Way("mae", "images all alike", constant=True),
)


def measure(console: Console) -> Measured:
    """Rows of a method each: in how many runs the alarm went, and after which round first."""
    torch.set_num_threads(1)
    images, begun = _images(), process_time()
    rows: list[dict[str, Cell]] = []
    targets: list[Target] = []
    console.print(f"  {len(HEALTHY) + len(PLANTED)} ways, {SEEDS} seeds, {ROUNDS} rounds each: some 8 CPU minutes")
    for way in (*HEALTHY, *PLANTED):
        alarms = [first_alarm(way, images, seed) for seed in range(SEEDS)]
        rounds = [one for one in alarms if one is not None]
        rows.append(_row(way, alarms, rounds, console))
        wanted = SEEDS if way.fault else 0
        name = f"{way.method}: {way.fault or 'healthy'}"
        targets.append(Target(name, len(rounds), None, None, f"{wanted} alarms of {SEEDS}", len(rounds) == wanted))
    notes = (
        f"PneumoniaMNIST at half its resolution, 3 hospitals of 128 cases, {ROUNDS} rounds of 4 steps; "
        f"{process_time() - begun:.0f} CPU seconds in all.",
        "BYOL's healthy runs have a centre that follows within two steps; with one that lags it collapses, and the "
        "alarm goes.",
    )
    return Measured("The alarm for collapse", rows, targets, notes)


def _row(way: Way, alarms: list[int | None], rounds: list[int], console: Console) -> dict[str, Cell]:
    console.print(f"  {way.method}, {way.fault or 'healthy'}: {alarms}")
    return {
        "method": way.method,
        "planted": way.fault or "nothing",
        "alarms": f"{len(rounds)} of {len(alarms)}",
        "first alarm after round, median": median(rounds) if rounds else None,
        "latest": max(rounds, default=None),
    }


def _images() -> NDArray[np.float32]:
    """(N, 1, 14, 14) in [0, 1]."""
    path = next(iter(sorted(find("pneumoniamnist").glob("*.npz"))))
    with np.load(path) as held:
        images = held["train_images"].astype(np.float32) / 255
    return np.asarray(images.reshape(len(images), 1, 14, 2, 14, 2).mean((3, 5)), np.float32)


benchmark: Benchmark = measure
