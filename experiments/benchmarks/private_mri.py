"""MRI from a quarter of k-space, learned by four institutions under differential privacy: PSNR against epsilon.

Rows are kept in `runs/bench/private-mri` of the folder it is called in; called again, it goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from client.evaluation import evaluate
from common.study.options import Entry
from common.study.study import Study, parse
from common.sums.mean import merge
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._data import find
from experiments.benchmarks._kept_rows import CPU_S, KeptRows, Row
from experiments.benchmarks._log_chart import log_chart
from experiments.benchmarks._mri_ways import STUDY, federated, hospitals_of

FOLDER = Path("runs") / "bench" / "private-mri"
PLOT = FOLDER / "private-mri.svg"
BUDGET_CPU_S = 600.0
NOTHING, CASE, PATIENT = "nothing", "a slice", "a patient"
WAYS: Sequence[tuple[str, float]] = (
    (NOTHING, 0.0),
    (CASE, 8.0),
    (PATIENT, 8.0),
    (CASE, 1.0),
    (PATIENT, 32.0),
    (CASE, 32.0),
    (PATIENT, 1.0),
)
"""Who is protected, and epsilon."""
SAMPLED = {CASE: ("sample", 8), PATIENT: ("patient", 8)}
"""Unit, and how many a step expects: of some 580 slices or 20 patients of a hospital. Of a patient it takes one
slice."""
ROUNDS, STEPS, DELTA, CLIP_NORM = 6, 8, 1e-4, 1e-3
"""clip_norm: about the norm of a slice's gradient before training."""
MOST_SCORED = 40
NETWORK = "network={name='ffdnet', channels=8, depth=3}"
LEARNED = (
    f"task={{name='unrolled', operator='cartesian_mri', iterations=3, shared=true, {NETWORK}}}",
    f"training={{steps={STEPS}, batch_size=8, learning_rate=0.005, optimiser='adam'}}",
    f"rounds={ROUNDS}",
    "seed=1",
    "engine=inline",
    "aggregation=secagg",
    "source.images={name='lgg', size=64}",
    "split={validation=0.0, test=0.25, assignment='independent'}",
    "federation.evaluate_every=0",
    "federation.final_intervals=false",
    "baselines={local=false, pooled=false}",
)


def study_of(who: str, epsilon: float) -> Study:
    """The shipped study in small, without fine-tuning, whose scores would tell of patients without noise."""
    own = (*LEARNED, f'source.folder="{find("lgg-mri-5site")}"')
    study = replace(parse(STUDY.read_text(encoding="utf-8"), own), fine_tuning=None)
    if who == NOTHING:
        return study
    unit, size = SAMPLED[who]
    options = {"unit": unit, "epsilon": epsilon, "delta": DELTA, "clip_norm": CLIP_NORM}
    training = replace(study.training, batch_size=size)
    return replace(study, training=training, privacy=Entry("dpsgd", options))


def measure(console: Console) -> Measured:
    """Train and score, row by row."""
    torch.set_num_threads(1)
    kept = KeptRows(FOLDER, BUDGET_CPU_S, console)
    rows = []
    for who, epsilon in WAYS:
        study = study_of(who, epsilon)
        rows.append(kept.row({"protects": who, "epsilon": str(epsilon)}, study.json, lambda one=study: scored(one)))  # type: ignore[misc]
        PLOT.write_text(plot(rows), encoding="utf-8")
    return measured(rows)


def scored(study: Study) -> Mapping[str, float]:
    """Means over at most `MOST_SCORED` test slices of each hospital that has some."""
    hospitals = hospitals_of(study)
    network = federated(study, hospitals)
    found = []
    for hospital in hospitals:
        cases = hospital.splits["test"]
        rows = np.arange(0, len(cases), max(1, -(-len(cases) // MOST_SCORED)))
        found.append(evaluate(hospital.task, network, cases.take(rows)))
    total = merge(one for one in found if one)
    return {name: float(total[name].value or 0) for name in ("psnr", "ssim", "gain")}


def measured(rows: Sequence[Row]) -> Measured:
    """The table, and what privacy costs."""
    return Measured("Reconstruction of MRI under differential privacy", table_of(rows), targets_of(rows), [
        f"PSNR in dB of magnitudes, data range 1, LGG 64 x 64, x4, 4 institutions, one seed, {ROUNDS} rounds of "
        f"{STEPS} steps, delta {DELTA:g}, masked sums. An unrolled network of 1,755 parameters.",
        f"The zero-filled image of the same slices is the floor. The plot of PSNR against epsilon is in {PLOT}.",
        f"CPU minutes of all rows: {sum(float(row[CPU_S]) for row in rows) / 60:.1f}.",
    ])  # fmt: skip


def table_of(rows: Sequence[Row]) -> list[Mapping[str, Cell]]:
    """One line a way, the floor first."""
    floor = [_floor(rows)] if rows else []
    lines: list[Mapping[str, Cell]] = [
        {"protects": "zero-filled, nothing learned", "epsilon": None, "psnr, dB": one, "ssim": None, "gain, dB": 0.0}
        for one in floor
    ]
    return lines + [
        {
            "protects": row["protects"],
            "epsilon": float(row["epsilon"]) or None,
            "psnr, dB": row["psnr"],
            "ssim": row["ssim"],
            "gain, dB": row["gain"],
        }
        for row in rows
    ]


def targets_of(rows: Sequence[Row]) -> list[Target]:
    """Whether a protected model is better than none: where it is not, hospitals had better send nothing."""
    return [
        Target(
            f"{row['protects']}, epsilon {float(row['epsilon']):g}: gain, dB",
            row["gain"],
            None,
            0.0,
            "better than zero-filled",
            row["gain"] > 0,
        )
        for row in rows
        if row["protects"] != NOTHING
    ]


def plot(rows: Sequence[Row]) -> str:
    """PSNR against epsilon as an SVG, the floor a line of its own."""
    known = [row for row in rows if row["protects"] != NOTHING]
    lines = {
        who: sorted((float(row["epsilon"]), float(row["psnr"])) for row in known if row["protects"] == who)
        for who in (CASE, PATIENT)
    }
    if known:
        epsilons = sorted({float(row["epsilon"]) for row in known})
        lines["zero-filled"] = [(epsilon, _floor(rows)) for epsilon in epsilons]
    bar = next((float(row["psnr"]) for row in rows if row["protects"] == NOTHING), None)
    shown = {name: points for name, points in lines.items() if points}
    return str(log_chart(shown, bar, "epsilon", "PSNR in dB against epsilon")) if shown else ""


def _floor(rows: Sequence[Row]) -> float:
    return float(rows[0]["psnr"]) - float(rows[0]["gain"])


benchmark: Benchmark = measure
