"""Outlines from a tenth of the labels, after learning without any and from scratch: gliomas of four institutions.

The shipped studies `pretrain_lgg` and `finetune_lgg`, each way with its own learning rate, chosen by validation
patients. Rows are kept in `runs/bench/ssl-outlines` of the folder it is called in; called again, it goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from common.study.start import Start
from common.study.study import Study, parse
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._data import find
from experiments.benchmarks._kept_rows import CPU_S, KeptRows, Row, mean_of
from experiments.engines._quiet import Outcome, run_quietly

FOLDER = Path("runs") / "bench" / "ssl-outlines"
STUDIES = Path(__file__).parents[1] / "studies"
BUDGET_CPU_S = 3600.0
SEEDS = 3
SIDE = 32
"""Pixels: a quarter of the slices as they are published, so that all of it takes some ten minutes of one core."""
ROUNDS, EPOCHS = 8, 10
PRETRAINING_ROUNDS = 8
SCRATCH, PRETRAINED, PRETRAINING = "from scratch", "pretrained", "pretraining"
RATES = {SCRATCH: (0.005, 0.01), PRETRAINED: (0.002, 0.005)}
"""As many tries each, about what was best in trials on another seed. From scratch .002 outlines no pixel."""
TEST, VALIDATION = "Dice", "validation Dice"
GAIN = 0.03


def measure(console: Console) -> Measured:
    """Row by row."""
    torch.set_num_threads(1)
    kept = KeptRows(FOLDER, BUDGET_CPU_S, console)
    return measured([row for seed in range(SEEDS) for row in _of_seed(kept, seed)])


def measured(rows: Sequence[Row]) -> Measured:
    """Means over seeds of the mean over institutions, and whether pretraining gained what it should."""
    gains = _gains(rows)
    gain = float(np.mean(gains)) if gains else None
    spread = float(np.std(gains, ddof=1) / len(gains) ** 0.5) if len(gains) > 1 else None
    target = Target(
        "Dice over from scratch", gain, None, GAIN, f"{GAIN} at least", None if gain is None else gain >= GAIN
    )
    said = "" if spread is None else f" The gain of a seed differs with a standard error of {spread:.3f}."
    return Measured("Outlines from a tenth of the labels", _table(rows), [target], [
        f"LGG, slices of {SIDE} pixels; mean over institutions of the mean Dice of their test patients.{said}",
        f"Both ways {ROUNDS} rounds of {EPOCHS} epochs, at the rate of the best mean {VALIDATION}.",
    ])  # fmt: skip


def _table(rows: Sequence[Row]) -> list[Mapping[str, Cell]]:
    return [
        {
            "way": way,
            "learning rate": float(rate),
            "seeds": len(own),
            TEST: mean_of(own, TEST),
            VALIDATION: mean_of(own, VALIDATION),
            "CPU s": mean_of(own, CPU_S),
        }
        for way, rate in dict.fromkeys((row["way"], row["rate"]) for row in rows)
        if (own := _of(rows, way, rate))
    ]


def _gains(rows: Sequence[Row]) -> list[float]:
    """Of every seed, each way with the learning rate that is best on validation patients over all seeds."""
    chosen = {way: _of(rows, way, _best(rows, way)) for way in (SCRATCH, PRETRAINED)}
    scores = {way: {row["seed"]: float(row[TEST]) for row in own} for way, own in chosen.items()}
    return [scores[PRETRAINED][seed] - one for seed, one in scores[SCRATCH].items() if seed in scores[PRETRAINED]]


def _best(rows: Sequence[Row], way: str) -> str:
    return max((f"{one:g}" for one in RATES[way]), key=lambda rate: mean_of(_of(rows, way, rate), VALIDATION) or 0.0)


def _of(rows: Sequence[Row], way: str, rate: str) -> list[Row]:
    return [row for row in rows if (row["way"], row["rate"]) == (way, rate)]


def _of_seed(kept: KeptRows, seed: int) -> list[Row]:
    before = _study("pretrain_lgg", seed, f"rounds={PRETRAINING_ROUNDS}")
    place = FOLDER / f"pretrained-{seed}"
    names: dict[str, str | int] = {"way": PRETRAINING, "rate": f"{before.training.learning_rate:g}", "seed": seed}
    rows = [kept.row(names, before.json, lambda: _pretrained(before, place))]
    for way, rate in ((way, rate) for way, own in RATES.items() for rate in own):
        more = (f"rounds={ROUNDS}", f"training.epochs={EPOCHS}", f"training.learning_rate={rate}")
        start = None if way == SCRATCH else Start(str(place), part="encoder")
        begun = replace(_study("finetune_lgg", seed, *more, "start=none"), start=start)
        names = {"way": way, "rate": f"{rate:g}", "seed": seed}
        folder = FOLDER / f"{way.replace(' ', '-')}-{rate:g}-{seed}"
        setting = begun.json if start is None else before.json + begun.json
        rows.append(kept.row(names, setting, lambda s=begun, f=folder: _outlined(s, f)))  # type: ignore[misc]
    return rows


def _study(name: str, seed: int, *more: str) -> Study:
    own = (f'source.folder="{find("lgg-mri-5site")}"', f"source.size={SIDE}", f"seed={seed}", "engine=inline")
    least = ("federation.evaluate_every=1000", "federation.final_intervals=false")
    return parse((STUDIES / f"{name}.toml").read_text(encoding="utf-8"), [*own, *least, *more])


def _pretrained(study: Study, folder: Path) -> Mapping[str, Any]:
    final = run_quietly(study, folder).final
    return {"explained": final["test"]["pooled"]["explained"]}


def _outlined(study: Study, folder: Path) -> Mapping[str, Any]:
    outcome = run_quietly(study, folder)
    return {TEST: _mean(outcome, "test"), VALIDATION: _mean(outcome, "validation")}


def _mean(outcome: Outcome, part: str) -> float:
    """Over institutions, whatever their sizes."""
    known = [scores["dice"] for scores in outcome.final[part]["sites"].values() if scores["dice"] is not None]
    return float(np.mean(known))


benchmark: Benchmark = measure
