"""Small studies for drills: a table of three hospitals, and rounds that take as long as their messages."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from common.seeding import generator
from common.study.study import Study, parse

SITES = ("Aachen", "Bonn", "Celle")
ROWS = 180
STUDY = """
title = "Drills"
rounds = {rounds}
seed = 5
engine = "{engine}"
task = {{ name = "classification", network = "logistic" }}
strategy = "fedavg"
aggregation = "plain"
training = {{ steps = 4, batch_size = 8, learning_rate = 0.1 }}
split = {{ validation = 0.2, test = 0.2 }}
federation = {{ start_timeout_s = 600, round_timeout_s = 600, dropout_wait_s = 600, least_in_sum = 3 }}
[source]
name = "table"
folder = "{data}"
file = "rows.csv"
site = "hospital"
label = "ill"
classes = ["no", "yes"]
scaling = {{ a = {{ center = 0, spread = 1 }}, b = {{ center = 0, spread = 1 }}, c = {{ center = 0, spread = 1 }} }}
decimal = "."
delimiter = ","
encoding = "utf-8"
"""
ALGORITHMS: Mapping[str, tuple[str, ...]] = {
    "plain": (),
    "scaffold": ("strategy=scaffold",),
    "dpsgd": ("privacy={name='dpsgd',noise_multiplier=4.0,clip_norm=1.0,delta=1e-3}",),
    "secagg": ("aggregation=secagg",),
}
SECRET_DRAWS = frozenset({"dpsgd"})
"""Whose noise no seed tells: two runs never give the same model."""


def drill_study(algorithm: str, place: Path, engine: str, rounds: int, *more: str) -> Study:
    """A study over the table in `place`/data, which is made where it is absent."""
    data = (place / "data").resolve()
    if not (data / "rows.csv").exists():
        _write_rows(data)
    text = STUDY.format(rounds=rounds, engine=engine, data=data)
    return parse(text, [*ALGORITHMS[algorithm], *more])


def _write_rows(data: Path) -> None:
    """Three numbers of each patient; the sum of two of them, and chance, say who is ill."""
    rng = generator(1, "patients of the drills")
    numbers, chance = rng.normal(size=(ROWS, 3)), rng.normal(size=ROWS)
    data.mkdir(parents=True, exist_ok=True)
    with (data / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("patient", "hospital", "a", "b", "c", "ill"))
        for row, (a, b, c) in enumerate(numbers):
            ill = "yes" if a + b + 0.5 * chance[row] > 0 else "no"
            writer.writerow((f"P{row:03d}", SITES[row % len(SITES)], f"{a:.3f}", f"{b:.3f}", f"{c:.3f}", ill))
