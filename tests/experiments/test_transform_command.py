"""`wardround transform` as a person uses it; SimpleITK is the second library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as Sitk
import torch
from typer.testing import CliRunner

from common.data.geometry import Geometry
from common.data.image import Image, read_image, read_labels, write_image
from common.data.series import Series, read_series, write_series
from common.registration.applying import empty_value
from common.registration.displacement import DisplacementField
from common.registration.itk_files import read_transform, write_transform
from common.registration.linear import Linear
from experiments.cli import cli

LATTICE = Geometry.of((9, 8, 7), (2.0, 2.5, 3.0), (-8, -9, -10))
REFERENCE = Geometry.of((7, 9, 6), (2.5, 2.0, 3.0), (-7, -8, -9), [[0, 1, 0], [1, 0, 0], [0, 0, 1]])
TURN = Linear.of([[0.95, 0.1, 0], [-0.1, 0.95, 0.05], [0, 0, 1.05]], [1.0, -2.0, 0.5])
FIELD = DisplacementField(
    torch.from_numpy(0.1 * np.random.default_rng(0).normal(size=(3, *REFERENCE.shape))).float().double(), REFERENCE
)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["transform", *map(str, arguments)])
    return result.exit_code, " ".join(result.output.split())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    write_image(Image(rng.normal(size=LATTICE.shape), LATTICE), tmp_path / "image.nii.gz")
    write_image(Image(rng.integers(0, 4, LATTICE.shape), LATTICE), tmp_path / "labels.nii.gz")
    write_image(Image(np.zeros(REFERENCE.shape), REFERENCE), tmp_path / "fixed.nii.gz")
    write_transform(TURN, tmp_path / "turn.tfm")
    write_transform(FIELD, tmp_path / "field.nii.gz")
    return tmp_path


def by_itk(folder: Path, name: str, interpolator: int, outside: float) -> np.ndarray:
    turn = Sitk.ReadTransform(str(folder / "turn.tfm"))
    field = Sitk.DisplacementFieldTransform(Sitk.ReadImage(str(folder / "field.nii.gz"), Sitk.sitkVectorFloat64))
    made = Sitk.Resample(
        Sitk.ReadImage(str(folder / name)), Sitk.ReadImage(str(folder / "fixed.nii.gz")),
        Sitk.CompositeTransform([turn, field]), interpolator, outside, Sitk.sitkFloat64,
    )  # fmt: skip
    return Sitk.GetArrayFromImage(made).T


@pytest.mark.parametrize(
    ("name", "reading", "interpolator"),
    [
        ("image.nii.gz", "linear", Sitk.sitkLinear),
        ("labels.nii.gz", "nearest", Sitk.sitkNearestNeighbor),
        ("labels.nii.gz", "label_linear", Sitk.sitkLabelLinear),
    ],
)
def test_a_field_and_then_a_turn_resample_as_itk_does(
    folder: Path, name: str, reading: str, interpolator: int
) -> None:
    out = folder / "out.nii.gz"
    code, said = run(folder / name, "--by", folder / "field.nii.gz", "--by", folder / "turn.tfm", "--onto",
                     folder / "fixed.nii.gz", "--reading", reading, "--outside", 5, "--out", out)  # fmt: skip
    assert code == 0, said
    theirs = by_itk(folder, name, interpolator, 5)
    off = np.abs(read_image(out).values - theirs)
    assert (off > 1e-4).mean() < (0.01 if reading == "label_linear" else 1e-9)


def test_what_was_composed_and_turned_round_brings_points_back(folder: Path) -> None:
    there, back = folder / "there.h5", folder / "back.tfm"
    code, said = run("--by", folder / "turn.tfm", "--by", folder / "field.nii.gz", "--transform-out", there)
    assert code == 0, said
    assert run("--by", folder / "turn.tfm", "--invert", "--transform-out", back)[0] == 0
    points = folder / "points.csv"
    points.write_text("name,x,y,z\nnose,1,2,3\near,-4,0.5,2\n")
    moved, home = folder / "moved.csv", folder / "home.csv"
    assert run(points, "--by", there, "--points-in", "LPS", "--out", moved)[0] == 0
    itk = Sitk.ReadTransform(str(there)).TransformPoint((1.0, 2.0, 3.0))
    assert [float(cell) for cell in moved.read_text().splitlines()[1].split(",")[1:]] == pytest.approx(itk, abs=1e-5)
    field = f"inverse:{folder / 'field.nii.gz'}"
    assert run(moved, "--by", field, "--by", back, "--points-in", "LPS", "--out", home)[0] == 0
    cells = home.read_text().splitlines()[2].split(",")
    assert cells[0] == "ear"
    assert [float(cell) for cell in cells[1:]] == pytest.approx([-4, 0.5, 2], abs=0.01)


def test_an_inverse_field_is_written_on_the_lattice_that_is_named(folder: Path) -> None:
    out = folder / "inverse.nii.gz"
    field = f"inverse:{folder / 'field.nii.gz'}"
    code, said = run("--by", field, "--transform-out", out)
    assert code == 1
    assert "--onto" in said
    assert run("--by", field, "--onto", folder / "fixed.nii.gz", "--transform-out", out)[0] == 0
    point = torch.from_numpy(REFERENCE.centre_mm)[None]
    there = read_transform(out).map_points(FIELD.map_points(point))
    assert float((there - point).norm()) < 0.1


def test_a_series_gets_other_voxels_and_keeps_its_time(tmp_path: Path) -> None:
    values = np.arange(4 * 6 * 5 * 3, dtype=np.float32).reshape(3, 6, 5, 4)
    write_series(Series(values, Geometry.of((6, 5, 4), 2.0), 1.5), tmp_path / "run.nii.gz")
    code, said = run(tmp_path / "run.nii.gz", "--spacing", "4,5,2", "--out", tmp_path / "out.nii.gz")
    assert code == 0, said
    made = read_series(tmp_path / "out.nii.gz")
    assert (made.values.shape, made.step_s) == ((3, 3, 2, 4), 1.5)
    assert made.geometry.spacing_mm == (4.0, 5.0, 2.0)


def test_air_of_a_ct_is_found_below_which_only_padding_is() -> None:
    values = np.full((10, 10), -1000.0)
    values[:5], values[0] = 40.0, -3024.0
    geometry = Geometry.of((10, 10))
    assert empty_value(Image(values, geometry)) == -1000
    assert empty_value(Image(values.clip(-1024), geometry)) == -1024
    assert empty_value(Image(np.where(values > -2000, 0, values), geometry)) == -3024


def test_a_transform_the_wrong_way_round_is_noticed(folder: Path) -> None:
    write_transform(Linear.of(np.eye(3), [500.0, 0, 0]), folder / "far.tfm")
    code, said = run(folder / "image.nii.gz", "--by", folder / "far.tfm", "--out", folder / "out.nii.gz")
    assert code == 1
    assert "Nothing of the image is left" in said


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["image.nii.gz"], "--out is needed"),
        (["image.nii.gz", "--out", "out.png"], "must end with .nii"),
        (["image.nii.gz", "--out", "out.nii", "--spacing", "0"], "above 0"),
        (["image.nii.gz", "--out", "out.nii", "--spacing", "1e-9"], "voxels"),
        (["image.nii.gz", "--out", "out.nii", "--spacing", "2,2"], "one number or 3"),
        (["image.nii.gz", "--out", "out.nii", "--reading", "nearst"], "did you mean 'nearest'"),
        (["image.nii.gz", "--out", "out.nii", "--reading", "nearest"], "whole numbers"),
        (["points.csv", "--by", "turn.tfm", "--out", "out.csv"], "--points-in"),
        (["points.csv", "--by", "turn.tfm", "--out", "out.csv", "--points-in", "LAS"], "LPS"),
        (["nothing.csv", "--by", "turn.tfm", "--out", "out.csv", "--points-in", "RAS"], "holds no points"),
        (["words.csv", "--by", "turn.tfm", "--out", "out.csv", "--points-in", "RAS"], "every row must have a number"),
        (["infinite.csv", "--by", "turn.tfm", "--out", "out.csv", "--points-in", "RAS"], "not finite"),
        (["--by", "turn.tfm", "--transform-out", "out.mat"], "must end with"),
        ([], "name an image or points"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], wanted: str
) -> None:
    monkeypatch.chdir(folder)
    Path("points.csv").write_text("x,y,z\n1,2,3\n")
    Path("nothing.csv").write_text("x,y,z\n")
    Path("words.csv").write_text("x,y,z\n1,2,3\n1,two,3\n")
    Path("infinite.csv").write_text("x,y,z\n1,2,inf\n")
    code, said = run(*arguments)
    assert code == 1
    assert wanted in said
    assert not Path("out.nii").exists()


def test_labels_stay_whole_numbers_on_disk(folder: Path) -> None:
    out = folder / "out.nii.gz"
    assert (
        run(folder / "labels.nii.gz", "--onto", folder / "fixed.nii.gz", "--reading", "nearest", "--out", out)[0] == 0
    )
    assert set(np.unique(read_labels(out).values)) == {0, 1, 2, 3}
