"""What a course says of learning without labels, measured: temperature, batch size, and how hard views are.

Small on purpose: one hospital's images and a small network, so that every claim has three seeds in a few minutes.
Rows are kept in `runs/bench/ssl-claims` of the folder it is called in; called again, it goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path

import torch
from rich.console import Console
from torch import nn

from common.files.access import write
from common.study.study import Study, parse, parse_json
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks import _pretraining_ways as ways
from experiments.benchmarks._data import find
from experiments.benchmarks._hard_negatives import HARDEST, TEMPERATURES, weights_of
from experiments.benchmarks._kept_rows import CPU_S, KeptRows, Row, mean_of
from experiments.benchmarks._label_efficiency import efficiency, name_of
from experiments.benchmarks._log_chart import Points, log_chart
from experiments.benchmarks._pretraining_studies import SETS

FOLDER = Path("runs") / "bench" / "ssl-claims"
BUDGET_CPU_S = 1200.0
SEEDS = 3
STUDY = """
title = "What a course says"
rounds = {rounds}
seed = {seed}
strategy = "fedavg"
aggregation = "plain"
engine = "inline"
source = {{ name = "medmnist", folder = "{folder}", classes = ["normal", "pneumonia"] }}
partition = {{ name = "iid", hospitals = 4 }}
task = {task}
training = {{ batch_size = {batch}, learning_rate = 0.002, optimiser = "adamw" }}
baselines = {{ local = false, pooled = false }}
"""
EPOCHS = 10
NETWORK = "network = { name = 'groupnorm_cnn', channels = 16 }"
VIEWS = {
    "too easy": "{ name = 'grey', smallest_crop = 0.95, contrast = 0.02, brightness = 0.02 }",
    "fit": "{ name = 'grey', smallest_crop = 0.4, contrast = 0.2, brightness = 0.2 }",
    "too hard": "{ name = 'grey', smallest_crop = 0.03, contrast = 1.0, brightness = 3.0, cut_out = 0.5 }",
}
CROPS = {"too easy": 0.95, "fit": 0.4, "too hard": 0.03}
"""Where a plot has them: what they differ most in."""
BATCHES = (16, 64, 256)
METHODS = ("simclr", "byol")
TEMPERATURE, SIZE, AUGMENTATION = "temperature", "batch size", "views"
FORMULA, GRADIENT = "hardest 10%, formula", "hardest 10%, measured"
AT_ONE, AT_ALL = name_of(0.01), name_of(1.0)
LARGEST_ERROR = 1e-6


def measure(console: Console) -> Measured:
    """Row by row."""
    kept = KeptRows(FOLDER, BUDGET_CPU_S, console)
    rows = [row for seed in range(SEEDS) for row in _of_seed(kept, seed)]
    for claim, chart in charts_of(rows).items():
        write(FOLDER, f"{claim.replace(' ', '-')}.svg", chart)
    return measured(rows)


def measured(rows: Sequence[Row]) -> Measured:
    """The table, means over seeds, and what holds of each claim."""
    return Measured("What a course says of learning without labels", table_of(rows), targets_of(rows), [
        f"One hospital's images (a fourth of PneumoniaMNIST's training set), {EPOCHS} passes over them, 16 channels; "
        "AUC of a logistic regression on its features, on all test images. Means over seeds.",
        "hardest 10%: share of the gradient of all negatives that the 10 % most alike have in the loss (Wang and Liu "
        "2021, equation 5); evenly shared it is 10 %. By the formula, and by differentiating the loss.",
        "untrained: the same network before any step.",
        f"Plots of the three are in {FOLDER}.",
    ])  # fmt: skip


def table_of(rows: Sequence[Row]) -> list[Mapping[str, Cell]]:
    """One line for each setting."""
    names = (FORMULA, GRADIENT, AT_ONE, AT_ALL)
    return [
        {
            "claim": claim,
            "method": method,
            "setting": setting,
            "seeds": len(own),
            **{name: mean_of(own, name) for name in names},
            "CPU s": mean_of(own, CPU_S),
        }
        for claim, method, setting in dict.fromkeys((row["claim"], row["method"], row["value"]) for row in rows)
        if (own := _of(rows, claim, method, setting))
    ]


def targets_of(rows: Sequence[Row]) -> list[Target]:
    """Whether each claim held here."""
    shares = [mean_of(_of(rows, TEMPERATURE, "simclr", f"{one:g}"), GRADIENT) for one in TEMPERATURES]
    known = [one for one in shares if one is not None]
    falls = known == sorted(known, reverse=True) if len(known) == len(TEMPERATURES) else None
    own = [row for row in rows if row["claim"] == TEMPERATURE]
    error = max((abs(float(row[FORMULA]) - float(row[GRADIENT])) for row in own), default=None)
    gains = {name: _difference(rows, SIZE, name, str(BATCHES[-1]), str(BATCHES[0])) for name in METHODS}
    fit = [_difference(rows, AUGMENTATION, "simclr", "fit", other) for other in ("too easy", "too hard")]
    return [
        Target("formula and gradient differ by", error, None, LARGEST_ERROR, f"{LARGEST_ERROR:g} at most",
               _holds(error, LARGEST_ERROR)),
        Target("a small temperature weighs hard negatives", shares[0], None, shares[-1], "falls with it", falls),
        Target("simclr gains from large batches", gains["simclr"], gains["byol"], 0.0, "gains more than byol",
               _above(gains["simclr"], gains["byol"])),
        *(Target(f"fit views over {name}", gain, None, 0.0, "above 0", _above(gain, 0.0))
          for name, gain in zip(("too easy", "too hard"), fit, strict=True)),
    ]  # fmt: skip


def charts_of(rows: Sequence[Row]) -> Mapping[str, str]:
    """SVGs by claim, of means over seeds; the untrained network beside. Of a claim that lacks a row there is none."""
    untrained = mean_of(_of(rows, AUGMENTATION, "untrained", ""), AT_ONE)
    reached = f"{AT_ONE} of the labels"
    weights = {"measured": _points(rows, TEMPERATURE, "simclr", {f"{one:g}": one for one in TEMPERATURES}, GRADIENT)}
    sizes = {str(size): float(size) for size in BATCHES}
    by_size = {method: _points(rows, SIZE, method, sizes, AT_ONE) for method in METHODS}
    by_views = {"simclr": _points(rows, AUGMENTATION, "simclr", CROPS, AT_ONE)}
    hardest = "share of the gradient that the hardest 10 % of negatives have"
    found = {
        TEMPERATURE: _chart(weights, HARDEST, "temperature", hardest, "evenly shared"),
        SIZE: _chart(by_size, untrained, "cases of a batch", reached, "untrained"),
        AUGMENTATION: _chart(by_views, untrained, "smallest crop; greys change with it", reached, "untrained"),
    }
    return {claim: chart for claim, chart in found.items() if chart is not None}


def _points(rows: Sequence[Row], claim: str, method: str, places: Mapping[str, float], name: str) -> Points:
    found = [(place, mean_of(_of(rows, claim, method, value), name)) for value, place in places.items()]
    known = [(place, value) for place, value in found if value is not None]
    return known if len(known) == len(places) else ()


def _chart(lines: Mapping[str, Points], bar: float | None, x: str, title: str, bar_words: str) -> str | None:
    return None if bar is None or not all(lines.values()) else str(log_chart(lines, bar, x, title, bar_words))


def _of_seed(kept: KeptRows, seed: int) -> list[Row]:
    fit, middle = VIEWS["fit"], BATCHES[1]
    base = _study("simclr", seed, fit, middle)
    rows = [
        kept.row(_names(TEMPERATURE, "simclr", f"{one:g}", seed), base.json, partial(_weights, base, one))
        for one in TEMPERATURES
    ]
    settings = [(SIZE, method, str(size), fit, size) for method in METHODS for size in BATCHES]
    settings += [(AUGMENTATION, "simclr", name, views, middle) for name, views in VIEWS.items()]
    for claim, method, value, views, size in settings:
        study = _study(method, seed, views, size)
        rows.append(kept.row(_names(claim, method, value, seed), study.json, partial(_probed, study)))
    untrained = partial(_probed, base, trained=False)
    return [*rows, kept.row(_names(AUGMENTATION, "untrained", "", seed), base.json, untrained)]


def _names(claim: str, method: str, value: str, seed: int) -> Mapping[str, str | int]:
    return {"claim": claim, "method": method, "value": value, "seed": seed}


def _study(method: str, seed: int, views: str, size: int) -> Study:
    task = f"{{ name = '{method}', {NETWORK}, augmentation = {views} }}"
    return parse(STUDY.format(rounds=EPOCHS, seed=seed, folder=find("pneumoniamnist"), task=task, batch=size))


@lru_cache(maxsize=2)
def _trained(study_json: str) -> nn.Module:
    """Several rows are of one network, and come one after the other."""
    torch.set_num_threads(1)
    study = parse_json(study_json)
    return ways.pooled(study, ways.hospitals_of(study)[:1])


def _probed(study: Study, trained: bool = True) -> Mapping[str, float]:
    hospitals = ways.hospitals_of(study)
    network = _trained(study.json) if trained else ways.drawn(study, hospitals)
    return efficiency(network, hospitals, SETS[0].labels, study.seed)


def _weights(study: Study, temperature: float) -> Mapping[str, float]:
    cases = ways.hospitals_of(study)[0].splits["test"]
    formula, measured = weights_of(_trained(study.json), study.build_task(), cases, temperature)
    return {FORMULA: formula, GRADIENT: measured}


def _of(rows: Sequence[Row], claim: str, method: str, value: str) -> list[Row]:
    return [row for row in rows if (row["claim"], row["method"], row["value"]) == (claim, method, value)]


def _difference(rows: Sequence[Row], claim: str, method: str, one: str, other: str) -> float | None:
    first, second = (mean_of(_of(rows, claim, method, value), AT_ONE) for value in (one, other))
    return None if first is None or second is None else first - second


def _above(value: float | None, bound: float | None) -> bool | None:
    return None if value is None or bound is None else value > bound


def _holds(value: float | None, most: float) -> bool | None:
    return None if value is None else value <= most


benchmark: Benchmark = measure
