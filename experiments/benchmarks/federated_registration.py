"""Hippocampus pairs: Dice and milliseconds of the learned network beside the classical search."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from safetensors.numpy import load_file

from client.hospital import Hospital, open_hospital, site_names
from common.data.geometry import Geometry
from common.data.image import Image
from common.learning.device import home
from common.metrics.overlap import Overlap, dice
from common.registration.register import register
from common.registration.sampling import resample
from common.study.study import Study, parse
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._data import find
from experiments.running.run import run_study

STUDY = Path(__file__).parents[1] / "studies" / "registration.toml"
CLASSICAL = {"classical, affine": "affine", "classical, displacement": "displacement"}
WANTED_DICE = 0.72


def measure(console: Console) -> Measured:
    """Run study `registration` with its baselines, then the classical search on the same test pairs."""
    folder = str(find("hippocampus"))
    study = parse(STUDY.read_text(encoding="utf-8"), (f"source.folder={folder}",))
    with TemporaryDirectory() as temporary:
        run = Path(temporary) / "run"
        with console.status("learning"):
            run_study(study, "registration", run)
        with console.status("classical registration"):
            return measured(study, run)


def measured(study: Study, run: Path) -> Measured:
    """The table of a finished run. Baselines that the run has not are left out."""
    torch.set_num_threads(1)
    hospitals = [open_hospital(study.json, index) for index in range(len(site_names(study)))]
    pooled = _table(run / "final.json")["test"]["pooled"]
    baselines = _table(run / "baselines.json")
    milliseconds = _network_milliseconds(hospitals, run)
    rows: list[dict[str, Cell]] = [_row("as they came", pooled["dice_before"], None)]
    for name, scores in (
        ("learned, each hospital alone", baselines.get("local_all")),
        ("learned, federated", pooled),
        ("learned, pooled", baselines.get("pooled_all")),
    ):
        if scores:
            rows.append(_row(name, scores["dice"], milliseconds))
    rows += [_classical_row(name, transform, hospitals) for name, transform in CLASSICAL.items()]
    return Measured("Registration of hippocampus pairs", rows, _targets(rows), [
        "Dice: mean over test pairs, both directions of a pair together, of the mean over labels.",
        "ms a pair: one thread; of the network one pass, of classical registration the whole search.",
    ])  # fmt: skip


def _row(name: str, score: float, milliseconds: float | None) -> dict[str, Cell]:
    return {"method": name, "Dice": score, "ms a pair": milliseconds}


def _targets(rows: Sequence[Mapping[str, Cell]]) -> list[Target]:
    figures = {str(row["method"]): row["Dice"] for row in rows}
    ours, affine = figures["learned, federated"], figures["classical, affine"]
    assert isinstance(ours, float) and isinstance(affine, float)
    return [Target("Dice, federated", ours, affine, WANTED_DICE, f"above {WANTED_DICE}", ours > WANTED_DICE)]


def _network_milliseconds(hospitals: Sequence[Hospital], run: Path) -> float:
    """Median over the test cases."""
    parameters = {name: torch.from_numpy(values) for name, values in load_file(run / "model.safetensors").items()}
    seconds = []
    for hospital in hospitals:
        hospital.network.load_state_dict(parameters, strict=False)
        hospital.network.eval()
        for pair in hospital.splits["test"].inputs:
            began = perf_counter()
            with torch.no_grad():
                hospital.network(torch.from_numpy(pair[None]).to(home(hospital.network))).cpu()
            seconds.append(perf_counter() - began)
    return 1000 * float(np.median(seconds))


def _classical_row(name: str, transform: str, hospitals: Sequence[Hospital]) -> dict[str, Cell]:
    scores, milliseconds = zip(*_classical(transform, hospitals), strict=True)
    return _row(name, fmean(scores), float(np.median(milliseconds)))


def _classical(transform: str, hospitals: Sequence[Hospital]) -> Iterator[tuple[float, float]]:
    """Dice of a test pair, both directions together as the task counts them, and milliseconds of each search."""
    for hospital in hospitals:
        cases = hospital.splits["test"]
        for pair in np.unique(cases.patients):
            labels, milliseconds = [], []
            for index in np.flatnonzero(cases.patients == pair):
                moved, spent = _moved(cases.inputs[index], cases.targets[index, 0], transform)
                labels.append(moved)
                milliseconds.append(spent)
            fixed = cases.targets[cases.patients == pair, 1]
            values = dice(Overlap.of(fixed, np.stack(labels), len(cases.classes)))[1:]
            yield float(np.nanmean(values)), fmean(milliseconds)


def _moved(pair: NDArray[np.float32], labels: NDArray[Any], transform: str) -> tuple[NDArray[np.int64], float]:
    """The moving labels on the fixed image's lattice, and milliseconds of the search."""
    geometry = Geometry.of(pair.shape[1:])
    moving, fixed = (Image(values, geometry) for values in pair)
    began = perf_counter()
    found = register(moving, fixed, transform)
    spent = 1000 * (perf_counter() - began)
    moved = resample(Image(labels, geometry), geometry, found.transform, labels=True)
    return np.asarray(moved.values, np.int64), spent


def _table(path: Path) -> dict[str, Any]:
    table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return table


benchmark: Benchmark = measure
