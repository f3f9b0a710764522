"""Programs that register, each started as a process of its own, and what they found, read and judged the same way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from common.data.geometry import Geometry
from common.data.image import Image
from common.errors import ImageError
from common.registration.displacement import DisplacementField
from common.registration.linear import Linear
from common.registration.transform import Transform
from experiments.benchmarks._registration_problems import ImagePair, Scores

PEERS_PYTHON = "WARDROUND_PEERS_PYTHON"
LONGEST_SEARCH_S = 900
ROOT = Path(__file__).parents[2]
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), "1"
)


@dataclass(frozen=True)
class Program:
    """name: in the table. start: Python, script and arguments, FOLDER standing for the folder; None if absent."""

    name: str
    start: Sequence[str] | None
    ours: bool = False


@dataclass(frozen=True)
class Outcome:
    """scores, with "CPU s", and settings of one program on one problem. doubted: whether it said that it failed."""

    scores: Scores
    settings: str
    doubted: bool = False


def our_program(name: str, work: str, transform: str, similarity: str) -> Program:
    """This library."""
    module = "experiments.benchmarks._registration_ours"
    return Program(name, (sys.executable, "-m", module, "FOLDER", work, transform, similarity), ours=True)


def peer(name: str, work: str, contrast: str) -> Program:
    """Another one, where its Python is named."""
    python = os.environ.get(PEERS_PYTHON)
    script = str(Path(__file__).with_name("_registration_peers.py"))
    return Program(name, (python, script, "FOLDER", name, work, contrast) if python else None)


def run(program: Program, problems: Sequence[ImagePair]) -> list[Outcome | None]:
    """One process for all; None where the program is absent, fails, or takes longer than LONGEST_SEARCH_S in all."""
    if program.start is None:
        return [None for _ in problems]
    with TemporaryDirectory() as place:
        folders = [Path(place) / f"{number:03}" for number in range(len(problems))]
        for folder, problem in zip(folders, problems, strict=True):
            folder.mkdir()
            _write(problem.fixed, folder / "fixed.npz")
            _write(problem.moving, folder / "moving.npz")
        with suppress(OSError, subprocess.SubprocessError):
            _start([place if part == "FOLDER" else part for part in program.start])
        return [_read(*pair) for pair in zip(folders, problems, strict=True)]


def _start(command: Sequence[str]) -> None:
    subprocess.run(
        command, cwd=ROOT, env=os.environ | ONE_THREAD, capture_output=True, timeout=LONGEST_SEARCH_S, check=True
    )


def _write(image: Image, path: Path) -> None:
    geometry = image.geometry
    np.savez(
        path, values=image.values.astype(np.float32), spacing_mm=geometry.spacing_mm, origin_mm=geometry.origin_mm
    )


def _read(folder: Path, problem: ImagePair) -> Outcome | None:
    found: Transform
    try:
        with np.load(folder / "result.npz") as file:
            seconds, settings = float(file["seconds"]), str(file["settings"])
            doubted = "doubted" in file and bool(file["doubted"])
            if "matrix" in file:
                found = Linear(torch.from_numpy(file["matrix"]))
            else:
                found = DisplacementField(torch.from_numpy(file["field"]), plain(problem.fixed.geometry))
    except (OSError, ImageError):
        return None
    return Outcome(problem.judge.scores(found) | {"CPU s": seconds}, settings, doubted)


def plain(geometry: Geometry) -> Geometry:
    """The same lattice, as spacing and origin say it."""
    return Geometry.of(geometry.shape, geometry.spacing_mm, geometry.origin_mm)
