"""Counterfactual digits, in grey levels from the true ones: federated, pooled, alone, beside a plain VAE."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from common.errors import SourceError
from common.study.study import Study, parse
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._causal_baselines import Scores, mean_of, scores_of_baseline
from experiments.benchmarks._data import find
from experiments.running.run import run_study

STUDY = Path(__file__).parents[1] / "studies" / "morpho.toml"
LONGER = (
    "source.hospitals=3",
    "source.patients=[300]",
    "rounds=25",
    "training.steps=25",
    "training.batch_size=32",
    "training.learning_rate=0.008",
    "training.warm_up_steps=10",
    "federation.evaluate_every=25",
    "task.network={ name = 'conditional_ladder', channels = [16, 32] }",
)
PLAIN = "task.network={ name = 'conditional_ladder', channels = [16, 32], latents = [] }"
ALONE = (1,)
"""Hospitals whose own models are shown: the middle one, whose writers are most like those of all."""
PROCESSES = 3
PROTOTYPE: Mapping[str, tuple[float, float]] = {
    "pooled": (3.43, 3.12),
    "federated": (3.64, 3.63),
    "one hospital": (4.37, 4.29),
}
PROTOTYPE_COMPOSITION = 6.15
MOST_OF_POOLED = 1.05
FEDERATED, POOLED, VAE = ("ladder", "federated"), ("ladder", "pooled"), ("plain VAE", "pooled")


def measure(console: Console) -> Measured:
    """Run study `morpho` on MNIST's digits, and beside it train what it is compared with."""
    study, plain = study_of(), study_of(PLAIN)
    with TemporaryDirectory() as temporary, ProcessPoolExecutor(PROCESSES, get_context("spawn")) as beside:
        pooled = beside.submit(scores_of_baseline, study.json)
        vae = beside.submit(scores_of_baseline, plain.json)
        alone = [beside.submit(scores_of_baseline, study.json, (one,)) for one in ALONE]
        with console.status("learning"):
            run_study(study, "morpho", Path(temporary) / "run")
        one_hospital = mean_of([one.result() for one in alone])
        baselines = {"pooled": pooled.result(), "one hospital": one_hospital}
        return measured(rows_of(federated(Path(temporary) / "run"), baselines, {"pooled": vae.result()}))


def study_of(*more: str) -> Study:
    """MNIST's digits where they are on this machine, else drawn ones."""
    try:
        data: tuple[str, ...] = ("source.digits=mnist", f"source.folder={find('mnist')}")
    except SourceError:
        data = ()
    return parse(STUDY.read_text(encoding="utf-8"), (*LONGER, *data, *more))


def federated(run: Path) -> Scores:
    """Of a finished run, on the test cases of all hospitals."""
    table: dict[str, Any] = json.loads((run / "final.json").read_text(encoding="utf-8"))
    scores: Scores = table["test"]["pooled"]
    return scores


def rows_of(
    federation: Scores, baselines: Mapping[str, Scores], plain: Mapping[str, Scores]
) -> list[dict[str, Cell]]:
    """The ladder trained in every way, and a plain VAE where cases are pooled."""
    rows = [_row("ladder", trained, scores) for trained, scores in {**baselines, "federated": federation}.items()]
    return rows + [_row("plain VAE", trained, scores) for trained, scores in plain.items()]


def measured(rows: list[dict[str, Cell]]) -> Measured:
    """The table, and the targets."""
    return Measured("Counterfactuals of digits", rows, _targets(rows), [
        "Grey levels of 0 to 255, mean over pixels and test digits of all hospitals. Thickness, intensity: to the "
        "true counterfactual. Composition: the image made again, its pixels' own noise left away.",
        "Every model takes 625 steps of the same batch size at the same rates, and is scored on the same digits; one "
        "hospital is the second of three.",
        "Prototype: a plain conditional VAE of 650,000 parameters on digits of the same model, measured elsewhere; "
        "its digits and hospitals were not these.",
    ])  # fmt: skip


def _row(name: str, trained: str, scores: Scores) -> dict[str, Cell]:
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
    ladder, pooled, plain = (_row_of(rows, *key) for key in (FEDERATED, POOLED, VAE))
    found = []
    for cause in ("thickness", "intensity"):
        bar = _number(pooled, cause)
        most = None if bar is None else MOST_OF_POOLED * bar
        found.append(
            _at_most(f"do({cause}), federated", ladder, cause, bar, most, f"at most {MOST_OF_POOLED} of pooled")
        )
    for whose, vae in (("prototype's", PROTOTYPE_COMPOSITION), ("our own", _number(plain, "composition"))):
        most = None if vae is None else vae / 2
        words = f"half of the {whose} plain VAE's"
        found.append(_at_most("composition, federated", ladder, "composition", vae, most, words))
    return found


def _at_most(
    name: str, row: Mapping[str, Cell], column: str, peer: float | None, most: float | None, words: str
) -> Target:
    ours = _number(row, column)
    return Target(name, ours, peer, most, words, None if ours is None or most is None else ours <= most)


def _row_of(rows: list[dict[str, Cell]], network: str, trained: str) -> Mapping[str, Cell]:
    return next((row for row in rows if (row["network"], row["trained"]) == (network, trained)), {})


def _number(row: Mapping[str, Cell], column: str) -> float | None:
    value = row.get(column)
    return float(value) if isinstance(value, int | float) else None


benchmark: Benchmark = measure
