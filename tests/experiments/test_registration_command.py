"""`wardround register` as a person uses it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from common.data.geometry import Geometry
from common.data.image import Image, read_image, write_image
from common.data.series import Series, read_series, write_series
from common.registration.itk_files import read_transform, write_transform
from common.registration.linear import Linear
from common.registration.sampling import resample
from experiments.cli import cli

LATTICE = Geometry.of((24, 22, 20), 2.0, (-24, -22, -20))
SHIFT = Linear.of(np.eye(3), [3.0, -2.0, 1.0])


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["register", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    wider = Geometry.of((32, 30, 28), 2.0, (-32, -30, -28))
    scene = Image(gaussian_filter(np.random.default_rng(0).normal(size=wider.shape), 2), wider)
    write_image(resample(scene, LATTICE, SHIFT.inverse()), tmp_path / "moving.nii.gz")
    write_image(resample(scene, LATTICE, Linear.identity(3)), tmp_path / "fixed.nii.gz")
    return tmp_path / "moving.nii.gz", tmp_path / "fixed.nii.gz"


def test_it_writes_image_transform_and_pictures(files: tuple[Path, Path], tmp_path: Path) -> None:
    out, text, page = tmp_path / "out.nii.gz", tmp_path / "found.tfm", tmp_path / "page.html"
    code, said = run(*files, "--transform", "rigid", "--out", out, "--transform-out", text, "--pictures", page)
    assert code == 0, said
    assert "overlap" in said
    points = torch.zeros(1, 3, dtype=torch.float64)
    error = read_transform(text).map_points(points) - SHIFT.map_points(points)
    assert float(error.norm()) < 0.2
    inner = (slice(4, -4),) * 3
    assert np.corrcoef(read_image(out).values[inner].ravel(), read_image(files[1]).values[inner].ravel())[0, 1] > 0.98
    html = page.read_text()
    assert html.count("<img") == 24
    assert "://" not in html


@pytest.mark.parametrize(("kind", "name"), [("displacement", "field.nii.gz"), ("bspline", "few-numbers.tfm")])
def test_a_deformation_is_written_as_a_field_or_as_a_spline(
    kind: str, name: str, files: tuple[Path, Path], tmp_path: Path
) -> None:
    field = tmp_path / name
    code, said = run(*files, "--transform", kind, "--similarity", "ssd", "--transform-out", field)
    assert code == 0, said
    moved = read_transform(field).map_points(torch.zeros(1, 3, dtype=torch.float64))
    assert float((moved - SHIFT.map_points(torch.zeros(1, 3).double())).norm()) < 1.0


def test_names_that_cannot_be_written_are_refused_before_any_work(files: tuple[Path, Path], tmp_path: Path) -> None:
    code, said = run(*files, "--transform", "velocity", "--transform-out", tmp_path / "field.tfm")
    assert code == 1
    assert "must end with .nii" in said
    code, said = run(*files, "--out", tmp_path / "out.png")
    assert code == 1
    assert "out.png" in said


def test_an_absent_file_and_an_unknown_transform_are_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    code, said = run(tmp_path / "gone.nii", files[1])
    assert code == 1
    assert "gone.nii" in said
    code, said = run(*files, "--transform", "afine")
    assert code == 1
    assert "did you mean 'affine'" in said


def test_a_search_that_failed_says_so_first_and_by_its_exit_code(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    noise = [tmp_path / "noise.nii.gz", tmp_path / "other.nii.gz"]
    for path in noise:
        write_image(Image(rng.normal(size=(10, 10)), Geometry.of((10, 10), 2.0)), path)
    page = tmp_path / "page.html"
    code, said = run(*noise, "--transform", "rigid", "--pictures", page)
    assert code == 4
    assert "Search 2, " in said
    assert said.startswith("This has probably failed: ")
    assert "This has probably failed: " in page.read_text()


def test_air_outside_a_ct_stays_air(files: tuple[Path, Path], tmp_path: Path) -> None:
    """The moving image ends 8 mm above the fixed one's floor; in CT 0 would be water there."""
    fixed = read_image(files[1])
    ct = Image(np.round(1000 * fixed.values / np.abs(fixed.values).max()).clip(-1000), LATTICE)
    ct.values[0, 0, 0] = -1000
    upper = Image(ct.values[:, :, 4:].copy(), Geometry.of((24, 22, 16), 2.0, (-24, -22, -12)))
    upper.values[0, 0, 0] = -1000
    moving, still, out = tmp_path / "ct.nii.gz", tmp_path / "still.nii.gz", tmp_path / "out.nii.gz"
    write_image(upper, moving)
    write_image(ct, still)
    for more, wanted in (((), -1000.0), (("--outside", -1024), -1024.0)):
        code, said = run(moving, still, "--transform", "rigid", "--out", out, *more)
        assert code == 0, said
        assert np.unique(read_image(out).values[2:-2, 2:-2, :3]).tolist() == [wanted]


def test_points_and_labels_are_judged_before_and_after(files: tuple[Path, Path], tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    fixed = rng.uniform(-10, 10, (5, 3))
    for name, points in (("fixed.csv", fixed), ("moving.csv", fixed + np.array([3.0, -2.0, 1.0]))):
        (tmp_path / name).write_text("x,y,z\n" + "".join(f"{-x},{-y},{z}\n" for x, y, z in points))
    labels = rng.integers(0, 2, LATTICE.shape)
    write_image(Image(labels, LATTICE), tmp_path / "labels.nii.gz")
    started = tmp_path / "started.tfm"
    write_transform(SHIFT, started)
    mask = tmp_path / "mask.nii.gz"
    write_image(Image(np.pad(np.ones((20, 18, 16), np.uint8), 2), LATTICE), mask)
    found = tmp_path / "found.h5"
    code, said = run(
        *files, "--transform", "rigid", "--mask", mask, "--moving-mask", mask, "--initial", started, "--levels", 1,
        "--check-points", tmp_path / "fixed.csv", tmp_path / "moving.csv", "--points-in", "LPS",
        "--check-labels", tmp_path / "labels.nii.gz", tmp_path / "labels.nii.gz", "--transform-out", found,
    )  # fmt: skip
    assert code == 0, said
    said = " ".join(said.split())
    after = re.search(r"mean 3\.74 mm before, (\d+\.\d+) after", said)
    assert after is not None and float(after.group(1)) < 0.2, (
        said
    )  # a tenth of a voxel: the masks leave a part to see
    assert "Dice of 1 labels that were not used: mean 1.000 before" in said
    moved = read_transform(found).map_points(torch.zeros(1, 3, dtype=torch.float64))
    assert float((moved - SHIFT.map_points(torch.zeros(1, 3).double())).norm()) < 0.2


def test_the_motion_of_a_series_is_written_as_images_table_and_page(tmp_path: Path) -> None:
    wider = Geometry.of((20, 18, 16), 2.0, (-20, -18, -16))
    scene = Image(gaussian_filter(np.random.default_rng(0).normal(size=wider.shape), 2), wider)
    place = Geometry.of((14, 13, 12), 2.0, (-14, -13, -12))
    shifted = Linear.of(np.eye(3), [2.0, 0.0, -1.0])
    values = [resample(scene, place, one).values for one in (Linear.identity(3), shifted, Linear.identity(3))]
    write_series(Series(np.stack(values), place, 2.0), tmp_path / "run.nii.gz")
    out, table, page = tmp_path / "still.nii.gz", tmp_path / "motion.csv", tmp_path / "motion.html"
    code, said = run(tmp_path / "run.nii.gz", "--rounds", 1, "--out", out, "--csv", table, "--pictures", page)
    assert code == 0, said
    assert read_series(out).values.shape == (3, 14, 13, 12)
    rows = [line.split(",") for line in table.read_text().splitlines()]
    assert rows[0][:3] == ["volume", "shift x mm", "shift y mm"]
    assert float(rows[2][1]) - float(rows[1][1]) == pytest.approx(-2, abs=0.4)
    html = page.read_text()
    assert html.count("<svg") == 3


def test_what_drove_the_search_is_no_judge_of_it(files: tuple[Path, Path], tmp_path: Path) -> None:
    """Refused before the search: neither landmarks of the cost nor a mask may be asked for a score."""
    points, mask = tmp_path / "points.csv", tmp_path / "mask.nii.gz"
    points.write_text("x,y,z\n1,2,3\n4,5,6\n")
    write_image(Image(np.pad(np.ones((20, 18, 16), np.uint8), 2), LATTICE), mask)
    used = ("--transform", "displacement", "--landmarks", points, points, "--points-in", "RAS", "--mask", mask)
    for judge, said in ((("--check-points", points, points), "landmarks were a term of the registration's cost"),
                        (("--check-labels", mask, mask), "or its mask")):  # fmt: skip
        code, spoken = run(*files, *used, "--smoothness", 2, *judge)
        assert code == 1
        assert said in " ".join(spoken.split())


def test_what_is_of_a_pair_is_refused_for_a_series_and_the_other_way_round(files: tuple[Path, Path]) -> None:
    for arguments, said in (
        ((files[0],), "must hold a series"),
        ((files[0], "--mask", files[1]), "a series takes"),
        ((*files, "--csv", "motion.csv"), "--csv is of a series"),
        ((*files, "--check-points", files[0], files[1]), "--points-in"),
    ):
        code, spoken = run(*arguments)
        assert code == 1
        assert said in " ".join(spoken.split())
