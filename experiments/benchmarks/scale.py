"""What grows how: hospitals, parameters and data, beside pfl-research, Flower's own simulation and a bare loop."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console

from common.errors import EngineError
from common.seeding import generator
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._kept_rows import KeptRows, Row
from experiments.benchmarks._scale_watch import Taken, watched

FOLDER = Path("scale-rows")
BUDGET_CPU_S = 4 * 3600.0
PEERS_PYTHON = "WARDROUND_PEERS_PYTHON"
LIMITS = {
    "hospitals": ("WARDROUND_SCALE_HOSPITALS", 1000.0),
    "parameters": ("WARDROUND_SCALE_PARAMETERS", 1e6),
    "gigabytes": ("WARDROUND_SCALE_GIGABYTES", 0.1),
}
"""Where each axis ends, and what says so; beyond it a size is told as not run."""
PROGRAMS = ("ours, inline", "ours, simulation", "pfl-research", "Flower", "bare loop")
PEERS = Path(__file__).with_name("_scale_peers.py")
FEATURES, CLASSES, COHORT, CASES_A_HOSPITAL = 64, 10, 10, 20
ROUNDS, FEW_ROUNDS, LARGE_MODEL = 11, 3, 5e6
"""Rounds of a run, and of one whose model has more parameters than that: each of them takes minutes."""
LONGEST_S = 3600.0
STUDY = """
title = "Scale"
rounds = {rounds}
seed = 1
engine = "{engine}"
source = {{ name = "npz", folder = "{data}", file = "pool.npz" }}
partition = {{ name = "iid", hospitals = {hospitals} }}
task = {{ name = "classification", network = {{ name = "mlp", hidden = [{width}, {width}] }} }}
strategy = "fedavg"
aggregation = "plain"
training = {{ steps = 6, batch_size = 10, learning_rate = 0.05 }}
split = {{ validation = 0.0, test = 0.0 }}

[federation]
client_fraction = {fraction}
evaluate_every = 0
evaluate_fraction = {fraction}
start_timeout_s = 3600
round_timeout_s = 3600
"""


@dataclass(frozen=True)
class Size:
    """One setting. axis: which of the three numbers is varied in its table."""

    axis: str
    hospitals: int = 10
    parameters: float = 1e5
    gigabytes: float = 0.0

    @property
    def width(self) -> int:
        """Of two hidden layers that come to about so many parameters."""
        linear = FEATURES + CLASSES + 2
        return round((math.sqrt(linear**2 + 4 * self.parameters) - linear) / 2)

    @property
    def cases(self) -> int:
        """Of the whole pool."""
        least = CASES_A_HOSPITAL * self.hospitals
        return max(least, round(self.gigabytes * 1e9 / (4 * FEATURES)))

    @property
    def rounds(self) -> int:
        """Of a run; the first of them counts as its start."""
        return FEW_ROUNDS if self.parameters > LARGE_MODEL else ROUNDS

    @property
    def value(self) -> float:
        """On its axis."""
        return float(getattr(self, self.axis))


SIZES = (
    *(Size("hospitals", hospitals=many) for many in (10, 100, 1000, 10_000)),
    *(Size("parameters", parameters=many) for many in (1e5, 1e6, 1e7, 1e8)),
    *(Size("gigabytes", gigabytes=many) for many in (0.1, 1.0, 10.0)),
)


def measure(console: Console) -> Measured:
    """Row by row, each a process of its own; rows are kept in `scale-rows/`, where the next run goes on."""
    kept = KeptRows(FOLDER, BUDGET_CPU_S, console)
    rows = [_row(kept, size, program, console) for size in SIZES for program in PROGRAMS]
    return Measured("What grows how", [_shown(row) for row in rows], _targets(rows), _notes(rows))


def _row(kept: KeptRows, size: Size, program: str, console: Console) -> Row:
    why = _not_run(size, program)
    names: dict[str, str | int] = {"axis": size.axis, "size": f"{size.value:g}", "program": program}
    if why:
        return {**names, "why": why}
    what = [size.hospitals, size.parameters, size.cases, size.rounds, COHORT]  # in two tables, and measured once
    try:
        return {**kept.row({"program": program}, json.dumps(what), lambda: _measured(size, program)), **names}
    except EngineError as error:
        console.print(f"{program}, {size.axis} {size.value:g}: {error}", style="yellow")
        return {**names, "why": "it failed"}


def _not_run(size: Size, program: str) -> str:
    variable, most = LIMITS[size.axis]
    if size.value > float(os.environ.get(variable, most)):
        return "not run"
    return "no peer" if program == "pfl-research" and not os.environ.get(PEERS_PYTHON) else ""


def _measured(size: Size, program: str) -> Mapping[str, float]:
    with TemporaryDirectory(prefix="scale-") as name:
        place = Path(name)
        _write_pool(place, size, program.startswith("ours"))
        command, marks = _ours(place, size, program) if program.startswith("ours") else _peer(place, size, program)
        taken = watched(command, marks, place / "log", LONGEST_S)
    described = {"hospitals": size.hospitals, "parameters": size.parameters, "cases": size.cases}
    return described | _figures(taken)


def _figures(taken: Taken) -> dict[str, float]:
    cpu, clock = taken.a_round()
    return {
        "start CPU s": taken.start_cpu_s,
        "CPU s of 100 updates": 100 * cpu / COHORT,
        "s of 100 updates": 100 * clock / COHORT,
        "MiB": taken.peak_mib,
        "CPU s in all": taken.cpu_s,
    }


def _write_pool(place: Path, size: Size, ours: bool) -> None:
    """Random cases; peers read them from the disk where they need them, as `mmap` does."""
    rng = generator(1, "scale")
    classes = rng.integers(0, CLASSES, size.cases)
    inputs = rng.standard_normal((size.cases, FEATURES), np.float32)
    if ours:
        np.savez(place / "pool.npz", x=inputs, y=classes, allow_pickle=False)
    else:
        np.save(place / "x.npy", inputs)
        np.save(place / "y.npy", classes)


def _ours(place: Path, size: Size, program: str) -> tuple[Sequence[str], Path]:
    engine, fraction = program.removeprefix("ours, "), COHORT / size.hospitals
    text = STUDY.format(
        rounds=size.rounds, engine=engine, data=place, hospitals=size.hospitals, width=size.width, fraction=fraction
    )
    (place / "study.toml").write_text(text, encoding="utf-8")
    probe = [
        sys.executable,
        "-m",
        "experiments.benchmarks._engine_probe",
        str(place / "study.toml"),
        str(place / "run"),
    ]
    return probe, place / "run" / "rounds.jsonl"


def _peer(place: Path, size: Size, program: str) -> tuple[Sequence[str], Path]:
    names = {"pfl-research": "pfl", "Flower": "flower", "bare loop": "loop"}
    settings = {
        "hospitals": size.hospitals,
        "cohort": COHORT,
        "rounds": size.rounds,
        "width": size.width,
        "features": FEATURES,
        "data": str(place),
        "marks": str(place / "marks"),
    }
    (place / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    python = os.environ[PEERS_PYTHON] if program == "pfl-research" else sys.executable
    return [python, str(PEERS), names[program], str(place / "settings.json")], place / "marks"


def _shown(row: Row) -> dict[str, Cell]:
    figures = ("start CPU s", "CPU s of 100 updates", "s of 100 updates", "MiB")
    named: dict[str, Cell] = {name: row[name] for name in ("axis", "size", "program")}
    return named | {name: row.get(name) for name in figures} | {"note": row.get("why", "")}


def exponent(sizes: Sequence[float], figures: Sequence[float]) -> float | None:
    """Slope of the line of least squares through the logarithms: 1 is in proportion, 0 not at all."""
    pairs = [(math.log(x), math.log(y)) for x, y in zip(sizes, figures, strict=True) if x > 0 and y > 0]
    if len(pairs) < 2 or not any(a[0] != b[0] for a, b in pairwise(pairs)):
        return None
    xs, ys = zip(*pairs, strict=True)
    middle = sum(xs) / len(xs), sum(ys) / len(ys)
    square = sum((x - middle[0]) ** 2 for x in xs)
    return float(sum((x - middle[0]) * (y - middle[1]) for x, y in pairs) / square)


def _notes(rows: Sequence[Row]) -> tuple[str, ...]:
    return (
        f"{COHORT} hospitals a round, 6 steps of 10 cases, two hidden layers on {FEATURES} features, one thread. "
        "Start: until the first round ended, data read and programs started. CPU of a program and all it starts; "
        "memory as the peak of their proportional set sizes.",
        "Peers read only the cases that they train on; ours also counts, splits and checks all of them beforehand.",
        *(f"Exponents by {axis}: {said}." for axis in LIMITS if (said := _exponents(rows, axis))),
    )


def _exponents(rows: Sequence[Row], axis: str) -> str:
    told = []
    for program in PROGRAMS:
        own = [row for row in rows if row["axis"] == axis and row["program"] == program and "MiB" in row]
        sizes = [float(row["size"]) for row in own]
        found = {
            word: exponent(sizes, [float(row[name]) for row in own])
            for word, name in (("start", "start CPU s"), ("update", "CPU s of 100 updates"), ("memory", "MiB"))
        }
        if any(value is not None for value in found.values()):
            words = (f"{word} {value:.2f}" for word, value in found.items() if value is not None)
            told.append(f"{program} {', '.join(words)}")
    return "; ".join(told)


def _targets(rows: Sequence[Row]) -> list[Target]:
    def of(program: str, size: str, name: str, axis: str = "hospitals") -> float | None:
        found = [row for row in rows if (row["axis"], row["size"], row["program"]) == (axis, size, program)]
        return None if not found or name not in found[0] else float(found[0][name])

    update, inline, ray = "CPU s of 100 updates", "ours, inline", "ours, simulation"
    many, few = of(inline, "1000", update), of(inline, "100", update)
    growth = None if many is None or few is None else many / few
    memory, most = of(inline, "1000", "MiB"), of(inline, "10000", "MiB")
    ours, flower = of(ray, "100", update), of("Flower", "100", update)
    return [
        _at_most("a round of 1,000 hospitals / of 100", growth, None, 1.1),
        _at_most("MiB of 1,000 hospitals, inline", memory, None, 1024),
        _at_most("MiB of 10,000 hospitals, inline", most, None, 4096),
        _at_most("100 updates on Ray, CPU s: no more than Flower's own", ours, flower, flower),
        _at_most("100 updates inline, CPU s", few, of("pfl-research", "100", update), of("bare loop", "100", update)),
    ]


def _at_most(name: str, ours: float | None, peer: float | None, bound: float | None) -> Target:
    met = None if ours is None or bound is None else ours <= bound
    return Target(name, ours, peer, bound, "at most the bound", met)


benchmark: Benchmark = measure
