"""Dice, HD, HD95 and ASSD of one brain, one small structure and 1,000 small masks, beside other libraries."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from scipy.ndimage import gaussian_filter, map_coordinates

from client.sources._phantom_atlas import AIR, BONE, SCALP, atlas
from common.errors import EngineError
from common.metrics import _rings
from common.metrics.counts import Counts, f_beta
from common.metrics.surface import SurfaceDistances
from common.seeding import generator
from experiments.benchmark import Benchmark, Cell, Measured, Target

SHAPE, SPACING_MM = (181, 217, 181), (1.0, 1.0, 1.5)
PAIRS, SIDE = 1000, 64
REPEATS = 5
LONGEST_PEERS_S = 540
PEERS_PYTHON = "WARDROUND_PEERS_PYTHON"
FIGURES = ("Dice", "HD mm", "HD95 mm", "ASSD mm")
TASKS = {"brain": "brain ms", "small": "small ms", "many": "64x64 us a pair"}
TARGETS = {"brain": 20.0, "small": 4.0, "many": 4.0}
NAMED = ("MONAI", "surface-distance", "SimpleITK", "medpy")

Mask = NDArray[np.bool_]
Results = dict[str, dict[str, dict[str, Any]]]


def measure(console: Console) -> Measured:
    """Ours with and without numba in this process; the others by the Python that WARDROUND_PEERS_PYTHON names."""
    with console.status("making pairs"):
        data = _pairs()
    found: Results = {}
    for name, search in (("ours, numba", _rings.search_with_numba), ("ours", _rings.search_with_numpy)):
        if search is not None:
            with console.status(name):
                found[name] = _ours(search, data)
    with console.status("peers"):
        found |= _peers(data)
    best = next(iter(found.values()))
    rows = [_row(name, result, best) for name, result in found.items()]
    return Measured("Outline metrics: Dice, HD, HD95 and ASSD together", rows, _targets(found), _NOTES)


_NOTES = (
    f"brain: a mask of {SHAPE} voxels of {SPACING_MM} mm against itself smoothly deformed; small: an ellipsoid of "
    "hippocampal size in the same volume; 64x64: 1,000 pairs of blobs, ours in one call.",
    "differs: largest difference of HD, HD95 and ASSD from ours over brain and small, in mm. surface-distance "
    "measures between elements of area and averages two weighted means.",
    f"Other libraries run in the Python that {PEERS_PYTHON} names; without it they are not measured.",
)


def _pairs() -> dict[str, Any]:
    rng = generator(1, "benchmark masks")
    head = atlas().labels
    brain = np.zeros(SHAPE, np.bool_)
    cut = tuple(slice(0, min(a, b)) for a, b in zip(SHAPE, head.shape, strict=True))
    brain[cut] = ~np.isin(head[cut], (AIR, BONE, SCALP))
    x, y, z = np.indices(SHAPE)
    small = ((x - 60) / 7) ** 2 + ((y - 100) / 18) ** 2 + ((z - 70) / 6) ** 2 < 1
    field = [4.0 * _unit(gaussian_filter(rng.standard_normal(SHAPE, np.float32), 8)) for _ in SHAPE]
    blobs = gaussian_filter(rng.standard_normal((PAIRS, SIDE, SIDE)), (0, 6, 6))
    other = blobs + 0.3 * gaussian_filter(rng.standard_normal(blobs.shape), (0, 6, 6))
    return {
        "brain_truth": brain,
        "brain_prediction": _deformed(brain, field),
        "small_truth": small,
        "small_prediction": _deformed(small, field),
        "many_truth": blobs > 0.02,
        "many_prediction": other > 0.02,
        "spacing_mm": np.array(SPACING_MM),
    }


def _unit(field: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(field / np.abs(field).max(), np.float32)


def _deformed(mask: Mask, field: list[NDArray[np.float32]]) -> Mask:
    points = [grid + part for grid, part in zip(np.indices(SHAPE, np.float32), field, strict=True)]
    return np.asarray(map_coordinates(mask.astype(np.float32), points, order=1) > 0.5)


def _ours(search: _rings.Search, data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    before, _rings.search = _rings.search, search
    try:
        result = {}
        for name in ("brain", "small"):
            result[name] = _timed(partial(_figures, data[f"{name}_truth"], data[f"{name}_prediction"]))
        result["many"] = _timed(partial(_figures_of_many, data["many_truth"], data["many_prediction"]))
        result["many"]["seconds"] /= PAIRS
        return result
    finally:
        _rings.search = before


def _timed(work: Callable[[], list[float]]) -> dict[str, Any]:
    figures, seconds = work(), []
    for _ in range(REPEATS):
        begin = perf_counter()
        work()
        seconds.append(perf_counter() - begin)
    return {"seconds": median(seconds), "figures": figures}


def _figures(truth: Mask, prediction: Mask) -> list[float]:
    dice = float(f_beta(Counts.of(truth, prediction, [1]))[0])
    return [dice, *_of(SurfaceDistances.of(truth, prediction, SPACING_MM))]


def _figures_of_many(truths: Mask, predictions: Mask) -> list[float]:
    both = (truths & predictions).sum(axis=(1, 2))
    dice = 2 * both / (truths.sum(axis=(1, 2)) + predictions.sum(axis=(1, 2)))
    found = [_of(one) for one in SurfaceDistances.of_many(truths, predictions)]
    return [float(dice.mean()), *np.mean(found, axis=0).tolist()]


def _of(found: SurfaceDistances) -> list[float]:
    return [found.hausdorff_mm, found.hausdorff_percentile_mm(), found.average_symmetric_mm]


def _peers(data: Mapping[str, Any]) -> Results:
    python = os.environ.get(PEERS_PYTHON)
    if not python:
        return {}
    with TemporaryDirectory() as place:
        pairs, results = Path(place) / "pairs.npz", Path(place) / "results.json"
        np.savez(pairs, allow_pickle=False, **data)
        script = Path(__file__).with_name("_metrics_peers.py")
        try:
            subprocess.run([python, str(script), str(pairs), str(results)], timeout=LONGEST_PEERS_S, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise EngineError(f"the Python that {PEERS_PYTHON} names could not measure: {error}") from error
        found = json.loads(results.read_text(encoding="utf-8"))
    return {name: result for name, result in found.items() if "error" not in result}


def _row(name: str, result: Mapping[str, Any], best: Mapping[str, Any]) -> dict[str, Cell]:
    row: dict[str, Cell] = {"library": name}
    for task, heading in TASKS.items():
        seconds = result[task]["seconds"]
        row[heading] = seconds * (1e6 if task == "many" else 1e3)
        row[f"{task} ratio"] = seconds / best[task]["seconds"]
    row |= dict(zip(FIGURES, result["brain"]["figures"], strict=True))
    differences = [
        abs(a - b)
        for task in ("brain", "small")
        for a, b in zip(result[task]["figures"][1:], best[task]["figures"][1:], strict=True)
    ]
    return row | {"differs mm": max(differences)}


def _targets(found: Results) -> list[Target]:
    ours, targets = next(iter(found.values())), []
    for task, factor in TARGETS.items():
        named = [found[name][task]["seconds"] for name in NAMED if name in found]
        ratio = min(named) / ours[task]["seconds"] if named else None
        words = f"{factor:g} x the fastest of {', '.join(NAMED)}"
        targets.append(Target(f"{task}: times as fast", ratio, 1.0, None, words, ratio and ratio >= factor))
    exacta = found.get("exacta")
    ahead = exacta["brain"]["seconds"] / ours["brain"]["seconds"] if exacta else None
    return [*targets, Target("brain: exacta", ahead, 1.0, None, "ahead of exacta", ahead and ahead > 1)]


benchmark: Benchmark = measure
