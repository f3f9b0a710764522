"""MRI from a quarter of k-space by four institutions with unlike operators: alone, federated, pooled, elsewhere.

Rows are kept in `runs/bench/federated-mri` of the folder it is called in; called again, it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from client.hospital import Hospital
from common.study.study import Study
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks import _mri_ways as ways
from experiments.benchmarks._kept_rows import CPU_S, KeptRows, Row

FOLDER = Path("runs") / "bench" / "federated-mri"
BUDGET_CPU_S = 3600.0
SEEDS = (1, 2, 3)
SITES = ("CS", "DU", "FG", "HT")
ELSEWHERE = dict(zip(SEEDS, ("FG", "CS", "HT"), strict=True))
"""The institution that is left out, with each seed another."""
ALONE, FEDERATED, TUNED = "each alone", "federated", "federated, fine-tuned"
EQUAL_STEPS, EQUAL_WORK = "pooled, equal steps", "pooled, equal work"
MENDED = "U-Net after the inverse, federated"
OTHERS, BEST_ALONE = "federation of the others", "best of the others' own"
ZERO_FILLED = "zero-filled"
LEAST_DB, BEHIND_POOLED_DB, BEFORE_MENDED_DB = 25.0, 0.3, 2.0
U_NET = ("task={name='postprocessed', operator='cartesian_mri', network={name='unet', channels=16, depth=4}}",)
PROTOTYPE: Mapping[str, float] = {
    ZERO_FILLED: 20.93,
    ALONE: 24.11,
    FEDERATED: 24.16,
    TUNED: 24.33,
    EQUAL_WORK: 25.70,
    MENDED: 21.0,
}


def measure(console: Console) -> Measured:
    """Train and score, row by row."""
    return measured(rows_of(KeptRows(FOLDER, BUDGET_CPU_S, console)))


def rows_of(kept: KeptRows) -> list[Row]:
    """All of them, measured or kept."""
    return [row for seed in SEEDS for others in (False, True) for row in _of_seed(kept, seed, others)]


def measured(rows: Sequence[Row]) -> Measured:
    """The table, means over seeds and institutions, and the targets."""
    return Measured("Federated reconstruction of MRI", [*table_of(rows), *elsewhere_of(rows)], targets_of(rows), [
        "PSNR in dB of magnitudes, data range 1, a mean over some sixty of each institution's test slices, then over "
        "institutions and seeds. The prototype's figures are of masks of its own.",
        "steps: one after the other; work: steps of all hospitals together. One model of pooled images is trained "
        "for as many steps as one hospital takes, and one for as many as all take.",
        f"CPU minutes of all rows: {sum(float(row[CPU_S]) for row in rows) / 60:.0f}.",
    ])  # fmt: skip


def table_of(rows: Sequence[Row]) -> list[Mapping[str, Cell]]:
    """One line a way."""
    found: list[Mapping[str, Cell]] = []
    for way, prefix, of in _LINES:
        own = [row for row in rows if row["way"] == of]
        if own:
            values = {site: _mean([_value(row, way, prefix, site) for row in own]) for site in SITES}
            found.append({
                "way": way, **values, "mean": _mean(list(values.values())), "prototype's": PROTOTYPE.get(way),
                "steps": _mean([row["steps"] for row in own]) if way != ZERO_FILLED else None,
                "work": _mean([row["work"] for row in own]) if way != ZERO_FILLED else None,
                "CPU s": _mean([row[CPU_S] for row in own]) if way != ZERO_FILLED else None, "seeds": len(own),
            })  # fmt: skip
    return found


_LINES = (
    (ZERO_FILLED, "", FEDERATED),
    (MENDED, "", MENDED),
    (ALONE, "", ALONE),
    (FEDERATED, "", FEDERATED),
    (TUNED, ways.TUNED, FEDERATED),
    (EQUAL_STEPS, "", EQUAL_STEPS),
    (EQUAL_WORK, "", EQUAL_WORK),
)
"""Name, prefix of the scores, and the row they are in."""


def elsewhere_of(rows: Sequence[Row]) -> list[Mapping[str, Cell]]:
    """Two lines: at the institution that was left out, by seed."""
    pairs = {row["seed"]: _elsewhere(rows, row) for row in rows if row["way"] == OTHERS}
    if not pairs:
        return []
    lines: list[Mapping[str, Cell]] = []
    for index, name in enumerate((OTHERS, BEST_ALONE)):
        values = {ELSEWHERE[seed]: pair[index] for seed, pair in pairs.items()}
        lines.append({
            "way": f"elsewhere: {name}", **{site: values.get(site) for site in SITES},
            "mean": _mean([*values.values()]),
            "prototype's": None, "steps": None, "work": None, "CPU s": None, "seeds": len(pairs),
        })  # fmt: skip
    return lines


def targets_of(rows: Sequence[Row]) -> list[Target]:
    """Of what is measured so far."""
    table = {str(row["way"]): row for row in table_of(rows)}
    mean = {way: _number(row["mean"]) for way, row in table.items()}
    federated, steps, work = (mean.get(way) for way in (FEDERATED, EQUAL_STEPS, EQUAL_WORK))
    found = [
        _least("federated, dB", federated, PROTOTYPE[FEDERATED], LEAST_DB, f"at least {LEAST_DB}"),
        _less("federated, dB", federated, steps, -BEHIND_POOLED_DB, "within .3 of pooled at equal steps"),
        _less("federated, dB", federated, work, -BEHIND_POOLED_DB, "(within .3 of pooled at equal work)"),
        _less("unrolled, dB", federated, mean.get(MENDED), BEFORE_MENDED_DB, "U-Net + 2 at equal CPU"),
    ]
    for site in SITES if {TUNED, ALONE} <= set(table) else ():
        tuned, own = (_number(table[way][site]) for way in (TUNED, ALONE))
        found.append(_less(f"fine-tuned at {site}, dB", tuned, own, 0.0, "at least its own model alone"))
    for row in rows:
        if row["way"] == OTHERS:
            ours, best = _elsewhere(rows, row)
            site = ELSEWHERE[row["seed"]]
            found.append(
                _less(f"federation that never met {site}, dB", ours, best, 0.0, "at least the best single model")
            )
    return found


def _of_seed(kept: KeptRows, seed: int, others: bool) -> list[Row]:
    torch.set_num_threads(1)
    study, mended, away = ways.study_of(seed), ways.study_of(seed, *U_NET), ELSEWHERE[seed]
    held: list[Hospital] = []

    def hospitals() -> list[Hospital]:
        held.extend(ways.hospitals_of(mended if others else study) if not held else ())
        return held

    steps, count = ways.steps_of(study), len(SITES)
    ours: Mapping[str, tuple[int, int, Callable[[], ways.Scores]]] = {
        FEDERATED: (steps, count * steps, lambda: ways.together(study, hospitals())),
        EQUAL_STEPS: (steps, steps, lambda: ways.pooled_in_as_many_steps(study, hospitals())),
        ALONE: (steps, steps, lambda: ways.alone(study, hospitals(), away)),
        OTHERS: (steps, (count - 1) * steps, lambda: ways.of_others(study, hospitals(), away)),
        EQUAL_WORK: (count * steps, count * steps, lambda: ways.pooled(study, hospitals())),
    }
    theirs = ways.steps_of(mended)
    beside = {MENDED: (theirs, count * theirs, lambda: ways.only_together(mended, hospitals()))}
    return [
        kept.row(
            {"way": way, "seed": seed},
            _setting(mended if others else study, way),
            lambda one=one, steps=steps, work=work: {"steps": steps, "work": work, **one()},  # type: ignore[misc]
        )
        for way, (steps, work, one) in (beside if others else ours).items()
    ]


def _setting(study: Study, way: str) -> str:
    """What a row is measured with: but for the federation, nothing of fine-tuning."""
    return study.json if way == FEDERATED else replace(study, fine_tuning=None).json


def _value(row: Row, way: str, prefix: str, site: str) -> float | None:
    """None of a hospital without test cases."""
    if prefix + site not in row:
        return None
    return float(row[site]) - float(row[ways.GAIN + site]) if way == ZERO_FILLED else float(row[prefix + site])


def _elsewhere(rows: Sequence[Row], row: Row) -> tuple[float | None, float | None]:
    """Of the federation of the others, and of the best single one, with the row's seed."""
    away = ELSEWHERE[row["seed"]]
    alone = [one for one in rows if one["way"] == ALONE and one["seed"] == row["seed"]]
    return _number(row.get(away)), ways.best_alone(alone[0], away) if alone else None


def _mean(values: Sequence[Cell]) -> float | None:
    numbers = [_number(value) for value in values]
    known = [one for one in numbers if one is not None]
    return sum(known) / len(known) if known and len(known) == len(numbers) else None


def _number(value: Cell) -> float | None:
    return None if value is None else float(value)


def _least(name: str, ours: float | None, peer: float | None, least: float, words: str) -> Target:
    return Target(name, ours, peer, least, words, None if ours is None else ours >= least)


def _less(name: str, ours: float | None, other: float | None, by: float, words: str) -> Target:
    bound = None if other is None else other + by
    return Target(name, ours, other, bound, words, None if ours is None or bound is None else ours >= bound)


benchmark: Benchmark = measure
