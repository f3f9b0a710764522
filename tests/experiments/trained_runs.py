"""Run folders of networks that were trained in a moment, without a federation, for tests of what comes afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch

from client.new_cases import columns_digest
from common.data.cases import Cases
from common.learning.parameters import Layout, digest, new_network, read
from common.study.plugins import ANYTHING, trusting
from common.study.study import parse
from server.run_folder import RunFolder


def trained_run(folder: Path, study_text: str, cases: Cases, steps: int = 0, columns: tuple[str, ...] = ()) -> Any:
    """The folder of a run of the study, its network shown all cases `steps` times; the network."""
    with trusting(ANYTHING):
        study = parse(study_text, beside=folder.parent)
    task = study.build_task()
    shown = getattr(task, "network_shape", lambda shape: shape)(cases.shape)
    network = new_network(task, shown, study.seed, study.training)
    optimiser, rng = torch.optim.Adam(network.parameters(), 0.02), np.random.default_rng(0)
    for _ in range(steps):
        optimiser.zero_grad()
        task.loss(network, task.augment(cases.batch(), rng)).mean().backward()
        optimiser.step()
    run = RunFolder(folder)
    run.write_text("study.toml", study.text)
    run.write_model(read(network), Layout.of(network))
    site = {"site": "somewhere", "cases": {"train": len(cases), "validation": 0, "test": 2}, "quarantined": 0}
    site |= {"patients": {"train": 5, "validation": 0, "test": 2}, "labels": {}}
    told = columns_digest(columns) if columns else ""
    run.write_json(
        "roster.json",
        {"sites": [site], "shape": list(shown.inputs), "classes": list(cases.classes), "columns": told},
    )
    about = {"state": "completed", "model_sha256": digest(read(network)), "headline": task.headline, "rounds_done": 3}
    run.write_json("about.json", about)
    run.write_json("final.json", {"test": {"sites": {}, "pooled": {task.headline: 0.9}}})
    return network.eval()


def oblique(seed: int, spacing_mm: tuple[float, float, float] = (1.5, 1.0, 2.5)) -> np.ndarray:
    """An affine whose axes run back, left and down, turned by some degrees: nothing a viewer would show upright."""
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(0.1, 0.3, 2)
    tilt = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    axes = np.array([[0, -1, 0], [-1, 0, 0], [0, 0, -1]])
    affine = np.eye(4)
    affine[:3, :3] = tilt @ turn @ axes @ np.diag(spacing_mm)
    affine[:3, 3] = rng.uniform(-40, 40, 3)
    return affine


def ball(seed: int, shape: tuple[int, int, int] = (14, 20, 9)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A volume with a bright ball of 8 mm, its mask, and its affine."""
    affine, rng = oblique(seed), np.random.default_rng(seed)
    world = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1) @ affine[:3, :3].T + affine[:3, 3]
    centre = world.reshape(-1, 3).mean(0) + rng.uniform(-1, 1, 3)
    mask = (np.linalg.norm(world - centre, axis=-1) < 6).astype(np.uint8)
    image = (rng.normal(100, 5, shape) + mask * 60).astype(np.int16)
    return image, mask, affine


def write_balls(folder: Path, seeds: range, change: Callable[[Any], None] = lambda image: None) -> None:
    """images/ and labels/ of NIfTI files p00.nii.gz, ... ."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        image, mask, affine = ball(seed)
        for kind, values in (("images", image), ("labels", mask)):
            file = nib.Nifti1Image(values, affine)
            change(file)
            nib.save(file, folder / kind / f"p{seed:02}.nii.gz")
