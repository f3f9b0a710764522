"""Run docs/story.md: play three hospitals, then do what the page says, word for word.

python docs/story.py --out afternoon
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

PAGE = Path(__file__).with_name("story.md")
BLOCK = re.compile(r"^```(python|toml|)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HOSPITALS = {"Bergen": (1.0, 1.2, 3.0), "Graz": (1.5, 1.5, 2.5), "Porto": (1.2, 1.0, 4.0)}
"""And the spacing of their scanners, in mm."""
PATIENTS = 6
SIDE_MM = 44.0
OPTIONAL = ("SimpleITK", "onnxruntime")


class StoryError(Exception):
    """A step of the page did not do what the page says."""


def oblique_affine(rng: np.random.Generator, spacing_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    """(4, 4), from voxels to mm: axes that run back, left and down, and are turned by some degrees."""
    a, b = rng.uniform(0.1, 0.35, 2)
    tilted = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turned = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = tilted @ turned @ np.array([[0, -1, 0], [-1, 0, 0], [0, 0, -1]]) @ np.diag(spacing_mm)
    affine[:3, 3] = rng.uniform(-60, 60, 3)
    return affine


def patient(seed: int, spacing_mm: tuple[float, float, float]) -> tuple[nib.Nifti1Image, nib.Nifti1Image]:
    """A scan and its outlined lesion, a ball in mm whatever the voxels are."""
    rng = np.random.default_rng(seed)
    shape = tuple(round(SIDE_MM / one) for one in spacing_mm)
    affine = oblique_affine(rng, spacing_mm)
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1) @ affine[:3, :3].T + affine[:3, 3]
    middle = places.reshape(-1, 3).mean(0)
    far = np.linalg.norm(places - middle - rng.uniform(-6, 6, 3), axis=-1)
    lesion = (far < rng.uniform(6, 9)).astype(np.uint8)
    head = np.linalg.norm(places - middle, axis=-1) < SIDE_MM / 2
    values = 100.0 * head + 60.0 * lesion + rng.normal(0, 12, shape)
    return nib.Nifti1Image(values.astype(np.float32), affine), nib.Nifti1Image(lesion, affine)


def play_the_hospitals(folder: Path) -> None:
    """Write volumes/, new.nii.gz, and what is true of it."""
    for number, (hospital, spacing_mm) in enumerate(HOSPITALS.items()):
        for one in range(PATIENTS):
            place = folder / "volumes" / hospital / f"P{number}{one:02}"
            place.mkdir(parents=True)
            scan, lesion = patient(100 * number + one, spacing_mm)
            nib.save(scan, place / "scan.nii.gz")
            nib.save(lesion, place / "lesion.nii.gz")
    scan, lesion = patient(999, (0.9, 1.3, 3.5))
    nib.save(scan, folder / "new.nii.gz")
    nib.save(lesion, folder / "truth.nii.gz")


def follow(page: str) -> list[str]:
    """Do every block of the page, in its order, in the working directory; what was left out, and why."""
    left_out = []
    for kind, text in BLOCK.findall(page):
        first = text.partition("\n")[0]
        if re.fullmatch(r"# [\w.]+", first):
            Path(first[2:]).write_text(text, encoding="utf-8")
        elif kind == "python":
            left_out += executed(text)
        else:
            for line in text.splitlines():
                if line.startswith("$ wardround "):
                    left_out += commanded(line)
    return left_out


def executed(text: str) -> list[str]:
    """Run a block of Python, unless it needs a library that is not installed; what was left out."""
    missing = [name for name in OPTIONAL if f"import {name}" in text and find_spec(name) is None]
    if missing:
        return [f"what needs {missing[0]}, which is not installed"]
    print(f"\n>>> {text.strip().replace(chr(10), chr(10) + '... ')}")
    exec(compile(text, PAGE.name, "exec"), {"__name__": "afternoon"})
    return []


def commanded(line: str) -> list[str]:
    """The command, in this process: `wardround` is this very function behind a name."""
    from experiments.cli import cli

    words = shlex.split(line.replace('"', '\\"'))[2:]
    if "--onnx" in words and not (find_spec("onnx") and find_spec("onnxscript") and find_spec("onnxruntime")):
        return [f"{line[2:]}: the extra onnx is not installed"]
    print(f"\n{line}", flush=True)
    code: Any = 0
    try:
        cli(words)
    except SystemExit as end:
        code = end.code
    if code not in (0, None):
        raise StoryError(f"{line[2:]} exited with {code}")
    return []


def main(words: list[str] | None = None) -> list[str]:
    """Tell the story in a new folder; what of it was left out."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="A folder that is not there yet.")
    out = parser.parse_args(words).out.resolve()
    try:
        out.mkdir(parents=True)
    except FileExistsError:
        parser.error(f"{out} is there already, and nothing is written over it")
    play_the_hospitals(out)
    with contextlib.chdir(out):
        left_out = follow(PAGE.read_text(encoding="utf-8"))
    for one in left_out:
        print(f"Left out: {one}")
    return left_out


if __name__ == "__main__":
    sys.path.insert(0, os.fspath(PAGE.parent.parent))
    main()
