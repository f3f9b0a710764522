"""Affine and deformable registration of a 3D brain at 2 mm with known transforms, beside SimpleITK and greedy."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from scipy.ndimage import gaussian_filter

from common.image import Image, read_image, write_image
from common.registration.displacement import DisplacementField
from common.registration.linear import Linear, LinearFamily
from common.registration.pyramid import coarser
from common.registration.register import register
from common.registration.sampling import resample
from common.registration.transform import Transform
from common.seeding import generator
from experiments.benchmark import Benchmark, Cell, Measured, Target
from experiments.benchmarks._data import find

PEERS = "WARDROUND_PEERS_PYTHON"
AFFINE_CASES = 3
SPACING_FACTOR = 2.0
BRIGHT = 20.0
MEAN_MM = 4.4
SMOOTHNESS_VOXELS = 9.0
NOISE = 1.0
PEER_LIMIT_S = 300
PUBLISHED_EPE_MM = 0.429


@dataclass(frozen=True, eq=False)
class Problem:
    """Two images, the transform between them, and (N, 3) world points of the fixed image to judge by."""

    fixed: Image
    moving: Image
    true: Transform
    points: NDArray[np.float64]

    def error_mm(self, there: NDArray[np.float64]) -> float:
        """Mean distance to where the points should be."""
        wanted = self.true.map_points(torch.from_numpy(self.points)).numpy()
        return float(np.linalg.norm(there - wanted, axis=-1).mean())


def problem(brain: Image, true: Transform, rng: np.random.Generator) -> Problem:
    """The moving image is made at full resolution, then both are brought to half of it, with a little noise."""
    fixed = coarser(brain, SPACING_FACTOR)
    moving = coarser(resample(brain, brain.geometry, true.inverse()), SPACING_FACTOR)
    noisy = [
        Image(i.values + rng.normal(0, NOISE, i.values.shape).astype(np.float32), i.geometry) for i in (fixed, moving)
    ]
    points = fixed.geometry.voxel_to_world(np.argwhere(fixed.values > BRIGHT)[::20])
    return Problem(noisy[0], noisy[1], true, points)


def affine_problems(brain: Image) -> Iterator[Problem]:
    """Random affine transforms that move the brain by about 9 mm."""
    family = LinearFamily("affine", torch.tensor(brain.geometry.centre_mm), 70.0, Linear.identity(3))
    for case in range(AFFINE_CASES):
        rng = generator(case, "affine benchmark")
        yield problem(brain, family.at(torch.from_numpy(rng.uniform(-7, 7, size=12))), rng)


def deformable_problem(brain: Image) -> Problem:
    """Smoothed noise, 4.4 mm on average over the brain."""
    rng = generator(0, "deformable benchmark")
    fixed = coarser(brain, SPACING_FACTOR)
    field = np.stack([gaussian_filter(rng.normal(size=fixed.geometry.shape), SMOOTHNESS_VOXELS) for _ in range(3)])
    field *= MEAN_MM / np.linalg.norm(field, axis=0)[fixed.values > BRIGHT].mean()
    return problem(brain, DisplacementField(torch.from_numpy(field), fixed.geometry), rng)


def ours(case: Problem, transform: str, similarity: str) -> tuple[float, float]:
    """Error in mm and CPU seconds of the search."""
    began = process_time()
    found = register(case.moving, case.fixed, transform, similarity, before="none")
    seconds = process_time() - began
    with torch.no_grad():
        return case.error_mm(found.transform.map_points(torch.from_numpy(case.points)).numpy()), seconds


def peers(case: Problem, kind: str) -> dict[str, tuple[float, float]]:
    """The same of every peer that the other Python has; nothing where there is no such Python."""
    python = os.environ.get(PEERS)
    if not python:
        return {}
    with TemporaryDirectory() as place:
        folder = Path(place)
        write_image(case.fixed, folder / "fixed.nii.gz")
        write_image(case.moving, folder / "moving.nii.gz")
        np.save(folder / "points.npy", case.points)
        script = Path(__file__).with_name("_registration_peers.py")
        try:
            subprocess.run([python, script, folder, kind], capture_output=True, timeout=PEER_LIMIT_S, check=True)
            seconds = json.loads((folder / "seconds.json").read_text(encoding="utf-8"))
        except (OSError, subprocess.SubprocessError):
            return {}
        return {name: (case.error_mm(np.load(folder / f"{name}.npy")), spent) for name, spent in seconds.items()}


def measure(console: Console) -> Measured:
    """Mean error and CPU seconds of each; every program in one thread, on the same images."""
    torch.set_num_threads(1)
    brain = read_image(find("brain-3d-labelled") / "antspy_ch2.nii.gz")
    rows: list[dict[str, Cell]] = []
    with console.status("affine"):
        rows += _rows("affine 2 mm", "affine", list(affine_problems(brain)), [("affine", "cc"), ("affine", "mi")])
    with console.status("deformable"):
        chosen = [("displacement", "local_cc"), ("displacement", "ssd"), ("velocity", "local_cc")]
        rows += _rows("deformable 2 mm", "deformable", [deformable_problem(brain)], chosen)
    return Measured("Registration of a 3D brain", rows, _targets(rows), [
        f"Peers run in the Python that {PEERS} names; without it their rows are absent.",
        "error: mean distance in mm over the brain to where the known transform takes it. CPU s: of the search.",
    ])  # fmt: skip


def _rows(work: str, kind: str, cases: Sequence[Problem], chosen: Sequence[tuple[str, str]]) -> list[dict[str, Cell]]:
    figures = {
        f"ours, {transform}, {name}": [ours(case, transform, name) for case in cases] for transform, name in chosen
    }
    for case in cases:
        for name, figure in peers(case, kind).items():
            figures.setdefault(name, []).append(figure)
    return [
        {"work": work, "program": name, "error mm": fmean(e for e, _ in all_), "CPU s": fmean(s for _, s in all_)}
        for name, all_ in figures.items()
    ]


def _targets(rows: Sequence[dict[str, Cell]]) -> list[Target]:
    targets = []
    for work, program, published in (
        ("affine 2 mm", "ours, affine, cc", 0.02),
        ("deformable 2 mm", "ours, displacement, local_cc", PUBLISHED_EPE_MM),
    ):
        here = [row for row in rows if row["work"] == work]
        mine = next(row for row in here if row["program"] == program)
        others = [row for row in here if not str(row["program"]).startswith("ours")]
        for figure, bound in (("error mm", published), ("CPU s", None)):
            peer = _figure(min(others, key=lambda row: _figure(row, "error mm")), figure) if others else None
            own = _figure(mine, figure)
            met = None if peer is None else own <= peer
            targets.append(Target(f"{work}: {figure}", own, peer, bound, "at most that of the most exact peer", met))
    return targets


def _figure(row: dict[str, Cell], name: str) -> float:
    value = row[name]
    assert isinstance(value, float)
    return value


benchmark: Benchmark = measure
