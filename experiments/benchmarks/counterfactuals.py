"""Counterfactual digits, in grey levels from the true ones: federated, pooled, alone, beside a plain VAE."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from common.errors import SourceError
from common.study.study import Study, parse
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._data import find
from experiments.running.run import run_study

STUDY = Path(__file__).parents[1] / "studies" / "morpho.toml"
LONGER = (
    "source.hospitals=5",
    "source.patients=[400]",
    "rounds=25",
    "training.steps=25",
    "training.batch_size=32",
    "federation.evaluate_every=25",
    "baselines.pooled=true",
    "baselines.local=true",
)
PLAIN = "task.network={ name = 'conditional_ladder', latents = [] }"
PROTOTYPE: Mapping[str, tuple[float, float]] = {
    "pooled": (3.43, 3.12),
    "federated": (3.64, 3.63),
    "one hospital": (4.37, 4.29),
}
PROTOTYPE_COMPOSITION = 6.15
MOST_OF_POOLED = 1.05


def measure(console: Console) -> Measured:
    """Run study `morpho` on MNIST's digits, 25 rounds of 25 steps, with its baselines; then without a hierarchy."""
    rows: list[dict[str, Cell]] = []
    for name, more in (("ladder", ()), ("plain VAE", (PLAIN, "baselines.pooled=false", "baselines.local=false"))):
        with TemporaryDirectory() as temporary, console.status(f"learning, {name}"):
            run = Path(temporary) / "run"
            run_study(study_of(*more), "morpho", run)
            rows += rows_of(run, name)
    return measured(rows)


def study_of(*more: str) -> Study:
    """MNIST's digits where they are on this machine, else drawn ones."""
    try:
        data: tuple[str, ...] = ("source.digits=mnist", f"source.folder={find('mnist')}")
    except SourceError:
        data = ()
    return parse(STUDY.read_text(encoding="utf-8"), (*LONGER, *data, *more))


def rows_of(run: Path, name: str) -> list[dict[str, Cell]]:
    """Of a finished run: the federation, and the baselines that it has."""
    baselines = _table(run / "baselines.json")
    found = {
        "federated": _table(run / "final.json")["test"]["pooled"],
        "pooled": baselines.get("pooled_all"),
        "one hospital": baselines.get("local_all"),
    }
    return [_row(name, trained, scores) for trained, scores in found.items() if scores]


def measured(rows: list[dict[str, Cell]]) -> Measured:
    """The table, and the targets."""
    return Measured("Counterfactuals of digits", rows, _targets(rows), [
        "Grey levels of 0 to 255, mean over pixels and test digits of all hospitals. Thickness, intensity: to the "
        "true counterfactual. Composition: the image made again, its pixels' own noise left away.",
        "Prototype: a plain conditional VAE of 650,000 parameters on digits of the same model, measured elsewhere; "
        "its digits and hospitals were not these.",
    ])  # fmt: skip


def _row(name: str, trained: str, scores: Mapping[str, float]) -> dict[str, Cell]:
    published = PROTOTYPE[trained]
    return {
        "network": name,
        "trained": trained,
        "thickness": scores.get("distance_thickness"),
        "prototype's": published[0],
        "intensity": scores.get("distance_intensity"),
        "prototype's, intensity": published[1],
        "composition": scores.get("composition"),
        "thickness missed by, pixels": scores.get("effectiveness_thickness"),
        "intensity missed by": scores.get("effectiveness_intensity"),
        "there and back": scores.get("reversibility_thickness"),
    }


def _targets(rows: list[dict[str, Cell]]) -> list[Target]:
    figures = {(row["network"], row["trained"]): row for row in rows}
    federated, pooled = figures["ladder", "federated"], figures.get(("ladder", "pooled"))
    found = []
    for cause in ("thickness", "intensity"):
        ours, bar = _number(federated[cause]), None if pooled is None else _number(pooled[cause])
        met = None if ours is None or bar is None else ours <= MOST_OF_POOLED * bar
        found.append(Target(f"do({cause}), federated", ours, None, bar, f"at most {MOST_OF_POOLED} of pooled", met))
    most, ours = PROTOTYPE_COMPOSITION / 2, _number(federated["composition"])
    met = None if ours is None else ours <= most
    found.append(Target("composition", ours, PROTOTYPE_COMPOSITION, most, "half of the plain VAE's", met))
    return found


def _number(value: Cell) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _table(path: Path) -> dict[str, Any]:
    table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return table


benchmark: Benchmark = measure
