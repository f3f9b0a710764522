"""Peers of the registration benchmark, run as a script by another Python: NIfTI files in, points and seconds out.

    python _registration_peers.py FOLDER

FOLDER holds fixed.nii.gz, moving.nii.gz and points.npy, (N, 3) world mm in RAS. Each peer that is installed writes
<peer>.npy, where it takes the points, and seconds.json its CPU seconds, all in one thread.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from time import process_time
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
LPS = np.array([-1.0, -1.0, 1.0])


def simpleitk_affine(folder: Path, points: Points) -> tuple[Points, float]:
    """Correlation at a fifth of the voxels, three levels, started from the moments."""
    sitk: Any = import_module("SimpleITK")
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    fixed, moving = (sitk.ReadImage(str(folder / f"{name}.nii.gz"), sitk.sitkFloat32) for name in ("fixed", "moving"))
    began = process_time()
    start = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.AffineTransform(3), sitk.CenteredTransformInitializerFilter.MOMENTS
    )
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.2, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-4, 200)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    method.SetInitialTransform(start, True)
    method.Execute(fixed, moving)
    seconds = process_time() - began
    return np.array([start.TransformPoint(tuple(point)) for point in points * LPS]) * LPS, seconds


def greedy_affine(folder: Path, points: Points) -> tuple[Points, float]:
    """NCC, centres upon centres."""
    out = folder / "greedy.mat"
    seconds = _greedy(folder, f"-a -dof 12 -m NCC 2x2x2 -ia-image-centers -n 100x50x10 -o {out}")
    matrix = np.loadtxt(out)
    return points @ matrix[:3, :3].T + matrix[:3, 3], seconds


def greedy_deformable(folder: Path, points: Points) -> tuple[Points, float]:
    """NCC with its default smoothing."""
    out = folder / "greedy.nii.gz"
    seconds = _greedy(folder, f"-m NCC 2x2x2 -n 100x50x10 -o {out}")
    file: Any = nib.load(out)
    vectors = np.squeeze(file.get_fdata()) * LPS
    voxels = np.rint((points - file.affine[:3, 3]) @ np.linalg.inv(file.affine[:3, :3]).T).astype(int)
    return points + vectors[tuple(voxels.T)], seconds


def _greedy(folder: Path, arguments: str) -> float:
    greedy: Any = import_module("picsl_greedy").Greedy3D()
    began = process_time()
    images = f"{folder / 'fixed.nii.gz'} {folder / 'moving.nii.gz'}"
    greedy.execute(f"-d 3 -i {images} -threads 1 -V 0 {arguments}")
    return process_time() - began


Peer = Callable[[Path, Points], tuple[Points, float]]
AFFINE: dict[str, Peer] = {"SimpleITK": simpleitk_affine, "greedy": greedy_affine}
DEFORMABLE: dict[str, Peer] = {"greedy NCC": greedy_deformable}


def main(folder: Path, kind: str) -> None:
    """Run every peer that is installed; what fails is left out."""
    points = np.load(folder / "points.npy")
    seconds = {}
    for name, peer in (AFFINE if kind == "affine" else DEFORMABLE).items():
        try:
            there, seconds[name] = peer(folder, points)
        except (ImportError, RuntimeError):
            continue
        np.save(folder / f"{name}.npy", there)
    (folder / "seconds.json").write_text(json.dumps(seconds), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
