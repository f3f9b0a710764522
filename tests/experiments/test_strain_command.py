"""`wardround strain` as a person uses it, on a ring that narrows by a known amount."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from typer.testing import CliRunner

from common.data.geometry import Geometry
from common.data.image import Image, write_image
from common.data.series import Series, write_series
from experiments.cli import cli

SIDE, WITHIN, CHANGES = 48, (12, 20), (0.0, 20.0, 40.0)
LATTICE = Geometry.of((SIDE, SIDE, 1), (1.0, 1.0, 4.0), (5.0, -20.0, 3.0))


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["strain", *map(str, arguments)])
    return result.exit_code, result.output


def ring(folder: Path) -> tuple[Path, Path]:
    """Tissue at r goes to sqrt(r^2 - c), so that what is seen at r comes from sqrt(r^2 + c)."""
    texture = gaussian_filter(np.random.default_rng(0).normal(size=(SIDE + 16,) * 2), 1.5)
    away = np.moveaxis(np.indices((SIDE, SIDE)) - (SIDE - 1) / 2, 0, -1)
    squared = (away**2).sum(-1)
    seen = [away * np.sqrt((squared + c) / squared)[..., None] + (SIDE + 15) / 2 for c in CHANGES]
    values = np.stack([map_coordinates(texture, np.moveaxis(places, -1, 0), order=3) for places in seen])
    write_series(Series(values[..., None].astype(np.float32), LATTICE, 0.04), folder / "beat.nii.gz")
    kept = (squared > WITHIN[0] ** 2) & (squared < WITHIN[1] ** 2)
    write_image(Image(kept[..., None].astype(np.uint8), LATTICE), folder / "ring.nii.gz")
    return folder / "beat.nii.gz", folder / "ring.nii.gz"


def test_a_ring_that_narrows_thickens_and_shortens_as_its_formula_says(tmp_path: Path) -> None:
    """E_rr = (r^2 / (r^2 - c) - 1) / 2 and E_cc = -c / (2 r^2), in its own table and page."""
    beat, mask = ring(tmp_path)
    figures, page = tmp_path / "strain.csv", tmp_path / "strain.html"
    code, said = run(beat, "--mask", mask, "--csv", figures, "--pictures", page)
    assert code == 0, said
    assert "Farthest in volume 3 of 3" in said
    rows = list(csv.DictReader(figures.read_text().splitlines()))
    squared = ((np.indices((SIDE, SIDE)) - (SIDE - 1) / 2) ** 2).sum(0)
    squared = squared[(squared > WITHIN[0] ** 2) & (squared < WITHIN[1] ** 2)]
    for row, c in zip(rows, CHANGES, strict=True):
        for name, wanted, near in (
            ("moved mm", (np.sqrt(squared) - np.sqrt(squared - c)).mean(), 0.05),
            ("radial", ((squared / (squared - c) - 1) / 2).mean(), 0.015),
            ("round", (-c / (2 * squared)).mean(), 0.005),
            ("volume ratio", 1.0, 0.01),
        ):
            assert abs(float(row[name]) - wanted) < near, (name, row, wanted)
    assert page.read_text().count("<svg") == 3


def test_a_mask_of_another_lattice_is_refused_before_any_work(tmp_path: Path) -> None:
    beat, _ = ring(tmp_path)
    write_image(Image(np.ones((4, 4, 1), np.uint8), Geometry.of((4, 4, 1))), tmp_path / "small.nii.gz")
    code, said = run(beat, "--mask", tmp_path / "small.nii.gz")
    assert code == 1
    assert "must lie on the lattice" in said
