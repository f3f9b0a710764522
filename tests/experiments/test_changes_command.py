"""`wardround changes` and `wardround template` as a person uses them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from common.data.geometry import Geometry
from common.data.image import Image, read_image, write_image
from experiments.cli import cli

LATTICE = Geometry.of((32, 30), 1.0)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli, list(map(str, arguments)))
    return result.exit_code, " ".join(result.output.split())


def visit(seed: int, planted: float = 0.0) -> Image:
    rng = np.random.default_rng(0)
    tissue = 100 + 60 * gaussian_filter(rng.normal(size=LATTICE.shape), 3)
    tissue[10:14, 16:20] += planted
    return Image(tissue + np.random.default_rng(seed).normal(size=LATTICE.shape), LATTICE)


def test_a_planted_lesion_is_named_drawn_and_written(tmp_path: Path) -> None:
    write_image(visit(1), tmp_path / "first.nii.gz")
    write_image(visit(2, planted=8), tmp_path / "second.nii.gz")
    p, table, page = tmp_path / "p.nii.gz", tmp_path / "places.csv", tmp_path / "page.html"
    code, said = run("changes", tmp_path / "first.nii.gz", tmp_path / "second.nii.gz", "--transform", "none",
                     "--out", p, "--csv", table, "--pictures", page)  # fmt: skip
    assert code == 0, said
    assert "1 places changed" in said
    assert table.read_text().splitlines()[1].split(",")[3] == "brighter"
    assert read_image(p).values[12, 18] < 0.05 < read_image(p).values[25, 5]
    html = page.read_text()
    assert html.count("<img") == 3
    assert "Place 1: brighter" in html


def test_a_template_and_its_transforms_are_written(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_image(visit(seed), tmp_path / f"{seed}.nii.gz")
    code, said = run("template", tmp_path / "1.nii.gz", tmp_path / "2.nii.gz", "--transform", "rigid", "--rounds", 1,
                     "--out", tmp_path / "mean.nii.gz", "--transforms-out", tmp_path / "found")  # fmt: skip
    assert code == 0, said
    assert sorted(path.name for path in (tmp_path / "found").iterdir()) == ["1.tfm", "2.tfm"]
    assert abs(read_image(tmp_path / "mean.nii.gz").values.mean()) < 0.1
    code, said = run("template", tmp_path / "1.nii.gz", "--out", tmp_path / "mean.nii.gz")
    assert code == 1
    assert "two images" in said
