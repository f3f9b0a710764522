"""Dice, HD, HD95 and ASSD of a brain, small structures in any numbers and 1,000 masks, beside other libraries.

Rows of the others are kept in `runs/bench/metrics` of the folder it is called in; called again, it goes on.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from scipy.ndimage import gaussian_filter, map_coordinates

from client.sources._phantom_atlas import AIR, BONE, SCALP, atlas
from common.errors import EngineError
from common.files.json_files import read_lines
from common.metrics import _rings
from common.metrics.counts import Counts, f_beta
from common.metrics.nearest import Outline
from common.metrics.surface import SurfaceDistances
from common.seeding import generator
from experiments.benchmark import Benchmark, Cell, Measured, Target

SHAPE, SPACING_MM = (181, 217, 181), (1.0, 1.0, 1.5)
ORGAN, MARGIN = (44, 59, 41), 8
PAIRS, SIDE = 1000, 64
REPEATS = 7
LONGEST_PEERS_S = 900
FOLDER = Path("runs") / "bench" / "metrics"
PEERS_PYTHON = "WARDROUND_PEERS_PYTHON"
BORDERS = ("MONAI", "SimpleITK", "medpy", "surface-distance")
ELEMENTS = ("surface-distance",)
LIBRARIES = (*BORDERS, "exacta")

Mask = NDArray[Any]
Results = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True)
class Task:
    """One row: what is measured, in what numbers, and how many times as fast as the fastest peer it must be."""

    words: str
    pair: str
    least: float
    dtype: str = "?"
    outline: Outline = "border"


TASKS = {
    "brain": Task("brain in 181 x 217 x 181", "brain", 20.0),
    "small": Task("hippocampus in the same", "small", 4.0),
    "many": Task("64 x 64, each of 1,000", "many", 4.0),
    "organ": Task("organ of 44 x 59 x 41", "organ", 4.0),
    "organ_far": Task("the same, 8 voxels away", "far", 4.0),
    "organ_elements": Task("organ, elements of area", "organ", 4.0, outline="elements"),
    "far_elements": Task("8 voxels away, elements", "far", 4.0, outline="elements"),
    "organ_int64": Task("organ, int64", "organ", 4.0, "i8"),
    "organ_big_uint16": Task("organ, uint16 of 2s, big-endian", "organ", 4.0, ">u2"),
    "organ_float32": Task("organ, float32", "organ", 4.0, "f4"),
}


def measure(console: Console) -> Measured:
    """Ours with and without numba in this process; the others by the Python that WARDROUND_PEERS_PYTHON names."""
    with console.status("making pairs"):
        data = _pairs()
    ours = {}
    for name, search in (("ours", _rings.search_with_numpy), ("ours, numba", _rings.search_with_numba)):
        if search is not None:
            with console.status(name):
                ours[name] = _ours(search, data)
    with console.status("peers"):
        peers = _peers(data)
    rows = [_row(name, task, ours, peers) for name, task in TASKS.items()]
    targets = [_target(name, task, ours["ours"], peers) for name, task in TASKS.items()]
    return Measured("Outline metrics: Dice, HD, HD95 and ASSD together, CPU ms", rows, targets, _NOTES)


_NOTES = (
    f"A pair is a structure and itself smoothly deformed, of {SPACING_MM} mm; one process, CPU time. Ratio: "
    "of the fastest of MONAI, SimpleITK, medpy and surface-distance, and ours without numba; of elements, "
    "surface-distance alone, whose definition that is.",
    "differs: largest difference of HD, HD95 and ASSD from MONAI's, of elements from surface-distance's, in mm. A "
    "peer that refuses or misreads the numbers it is given has no figure. All are given each task's own numbers, but "
    "surface-distance, which takes booleans alone: it is given them ready made.",
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
    field = _field(SHAPE, 4.0, rng)
    blobs = gaussian_filter(rng.standard_normal((PAIRS, SIDE, SIDE)), (0, 6, 6))
    other = blobs + 0.3 * gaussian_filter(rng.standard_normal(blobs.shape), (0, 6, 6))
    organ = _organ()
    return {
        "brain_truth": brain,
        "brain_prediction": _deformed(brain, field),
        "small_truth": small,
        "small_prediction": _deformed(small, field),
        "many_truth": blobs > 0.02,
        "many_prediction": other > 0.02,
        "organ_truth": organ,
        "organ_prediction": _deformed(organ, _field(organ.shape, 5.0, rng)),
        "far_truth": organ,
        "far_prediction": np.roll(organ, MARGIN, axis=0),
        "spacing_mm": np.array(SPACING_MM),
    }


def _organ() -> NDArray[np.bool_]:
    places = [(grid - (side - 1) / 2) / (side / 2) for grid, side in zip(np.indices(ORGAN), ORGAN, strict=True)]
    return np.pad(sum(place**2 for place in places) < 1, MARGIN)


def _field(shape: tuple[int, ...], largest: float, rng: np.random.Generator) -> list[NDArray[np.float32]]:
    parts = [gaussian_filter(rng.standard_normal(shape, np.float32), 8) for _ in shape]
    return [np.asarray(largest * part / np.abs(part).max(), np.float32) for part in parts]


def _deformed(mask: NDArray[np.bool_], field: list[NDArray[np.float32]]) -> NDArray[np.bool_]:
    points = [grid + part for grid, part in zip(np.indices(mask.shape, np.float32), field, strict=True)]
    return np.asarray(map_coordinates(mask.astype(np.float32), points, order=1) > 0.5)


def _given(task: Task, data: Mapping[str, Any]) -> tuple[Mask, Mask]:
    """The pair in the task's numbers; of whole numbers beyond a byte 2s."""
    values = [data[f"{task.pair}_{part}"].astype(task.dtype) for part in ("truth", "prediction")]
    truth, prediction = (one * 2 if task.dtype == ">u2" else one for one in values)
    return truth, prediction


def _ours(search: _rings.Search, data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    before, _rings.search = _rings.search, search
    try:
        result = {}
        for name, task in TASKS.items():
            figures = partial(_figures_of_many if name == "many" else _figures, *_given(task, data))
            result[name] = _timed(figures if name == "many" else partial(figures, task.outline))
        result["many"]["seconds"] /= PAIRS
        return result
    finally:
        _rings.search = before


def _timed(work: Callable[[], list[float]]) -> dict[str, Any]:
    figures, seconds = work(), []
    for _ in range(REPEATS):
        begin = process_time()
        work()
        seconds.append(process_time() - begin)
    return {"seconds": median(seconds), "figures": figures}


def _figures(truth: Mask, prediction: Mask, outline: Outline) -> list[float]:
    dice = float(f_beta(Counts.of(truth != 0, prediction != 0, [1]))[0])
    return [dice, *_of(SurfaceDistances.of(truth, prediction, SPACING_MM, outline))]


def _figures_of_many(truths: Mask, predictions: Mask) -> list[float]:
    both = (truths & predictions).sum(axis=(1, 2))
    dice = 2 * both / (truths.sum(axis=(1, 2)) + predictions.sum(axis=(1, 2)))
    found = [_of(one) for one in SurfaceDistances.of_many(truths, predictions)]
    return [float(dice.mean()), *np.mean(found, axis=0).tolist()]


def _of(found: SurfaceDistances) -> list[float]:
    """As each library has them: of elements, ASSD is the mean of both weighted means."""
    mean = found.average_symmetric_mm if found.truth_sizes is None else found.mean_average_mm
    return [found.hausdorff_mm, found.hausdorff_percentile_mm(), mean]


def _peers(data: Mapping[str, Any]) -> Results:
    python = os.environ.get(PEERS_PYTHON)
    if not python:
        return {}
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows = FOLDER / "rows.jsonl"
    rows.touch()
    with TemporaryDirectory() as place:
        pairs = Path(place) / "pairs.npz"
        named = {
            f"{name}_{part}": values
            for name, task in TASKS.items()
            for part, values in zip(("truth", "prediction"), _given(task, data), strict=True)
        }
        np.savez(pairs, allow_pickle=False, spacing_mm=data["spacing_mm"], **named)
        script = Path(__file__).with_name("_metrics_peers.py")
        try:
            subprocess.run([python, str(script), str(pairs), str(rows)], timeout=LONGEST_PEERS_S, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise EngineError(f"the Python that {PEERS_PYTHON} names could not measure: {error}") from error
    found: Results = {}
    for row in read_lines(FOLDER, rows.name):
        if "figures" in row:
            found.setdefault(row["who"], {})[row["name"]] = row
    return found


def _row(name: str, task: Task, ours: Results, peers: Results) -> dict[str, Cell]:
    libraries = ELEMENTS if task.outline == "elements" else LIBRARIES
    row: dict[str, Cell] = {"task": task.words}
    row |= {who: 1e3 * result[name]["seconds"] for who, result in ours.items()}
    row |= {
        who: 1e3 * peers[who][name]["seconds"] if who in libraries and name in peers[who] else None
        for who in LIBRARIES
        if who in peers
    }
    fastest = _fastest(name, task, peers)
    row |= {"at least": task.least, "ratio": fastest / ours["ours"][name]["seconds"] if fastest else None}
    like = peers.get("surface-distance" if task.outline == "elements" else "MONAI", {}).get(name)
    pairs = zip(like["figures"][1:], ours["ours"][name]["figures"][1:], strict=True) if like else ()
    return row | {"differs mm": max((abs(a - b) for a, b in pairs), default=None)}


def _fastest(name: str, task: Task, peers: Results) -> float | None:
    named = ELEMENTS if task.outline == "elements" else BORDERS
    return min((peers[who][name]["seconds"] for who in named if name in peers.get(who, {})), default=None)


def _target(name: str, task: Task, ours: dict[str, dict[str, Any]], peers: Results) -> Target:
    fastest = _fastest(name, task, peers)
    ratio = fastest / ours[name]["seconds"] if fastest else None
    words = f"{task.least:g} x the fastest peer, without numba"
    return Target(f"{task.words}: times as fast", ratio, 1.0, None, words, ratio and ratio >= task.least)


benchmark: Benchmark = measure
