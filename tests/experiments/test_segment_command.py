"""`wardround segment` and `imaging.segment` as a person uses them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from common.data.image import read_image
from common.errors import ImageError, UnknownNameError
from common.segmentation.methods import METHODS
from experiments.cli import cli
from wardround import imaging

AFFINE = np.array([[0, -2.0, 0, 10], [1.5, 0, 0, -20], [0, 0, 3.0, 5], [0, 0, 0, 1]])


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["segment", *map(str, arguments)])
    return result.exit_code, " ".join(result.output.split())


def scene() -> np.ndarray[Any, Any]:
    """A bright box of 4 x 5 x 3 voxels with a dark voxel in its middle, and a bright voxel far away."""
    values = np.zeros((12, 10, 7), np.int16)
    values[2:6, 3:8, 2:5] = 100
    values[3, 5, 3] = 0
    values[10, 9, 6] = 110
    return values


def save(path: Path, values: np.ndarray[Any, Any], unit: str = "mm", affine: Any = AFFINE) -> Path:
    file: Any = nib.Nifti1Image(values, affine)  # type: ignore[no-untyped-call]
    file.header.set_xyzt_units(unit)
    nib.save(file, path)
    return path


def test_thresholds_keep_place_and_unit_and_write_a_record(tmp_path: Path) -> None:
    given = save(tmp_path / "scan.nii.gz", scene(), "micron")
    truth = save(tmp_path / "truth.nii.gz", np.where(scene() == 100, 255, 0).astype(np.int16), "micron")
    out = tmp_path / "found.nii.gz"
    code, said = run(given, "--method", "threshold", "--lower", 50, "--out", out, "--truth", truth)
    assert code == 0 and "Dice" in said
    stored: Any = nib.load(out)
    assert np.array_equal(stored.affine, AFFINE) and stored.header.get_xyzt_units()[0] == "micron"
    assert stored.get_data_dtype() == np.uint8 and np.array_equal(np.asarray(stored.dataobj), scene() > 50)
    record = json.loads((tmp_path / "found.json").read_text())
    assert record["spacing_mm"] == pytest.approx([1.5e-3, 2e-3, 3e-3])
    (row,) = record["labels"]
    assert row["voxels"] == 60 and row["ml"] == pytest.approx(60 * 9e-12) and row["dice"] == pytest.approx(118 / 119)
    assert record["found"] == {"lower": 50.0, "upper": None}


@pytest.mark.parametrize("dtype", ["<i2", ">i2", ">f4", "u1"])
def test_the_largest_part_without_holes_is_the_box(dtype: str, tmp_path: Path) -> None:
    given = save(tmp_path / "scan.nii", scene().astype(dtype))
    code, said = run(given, "--out", tmp_path / "found.nii", "--largest-part", "--fill-holes", "--connectivity", 26)
    assert code == 0, said
    box = np.zeros(scene().shape)
    box[2:6, 3:8, 2:5] = 1
    assert np.array_equal(read_image(tmp_path / "found.nii").values, box)


def test_growing_from_voxels_and_from_points_in_mm_is_the_same(tmp_path: Path) -> None:
    given = save(tmp_path / "scan.nii.gz", scene())
    point = ",".join(map(str, nib.affines.apply_affine(AFFINE, [2, 3, 2]).tolist()))  # type: ignore[no-untyped-call]
    voxels, points = tmp_path / "voxels.nii.gz", tmp_path / "points.nii.gz"
    assert run(given, "--method", "grow", "--seed", "2,3,2", "--tolerance", 20, "--out", voxels)[0] == 0
    grown = ("--method", "grow", "--seed", point, "--seeds-in-mm", "--lower", 80, "--out", points)
    assert run(given, *grown)[0] == 0
    assert np.array_equal(read_image(voxels).values, scene() == 100)
    assert np.array_equal(read_image(points).values, scene() == 100)


@pytest.mark.parametrize("shape", [(12, 10), (12, 10, 1), (1, 12, 10)])
def test_a_plane_and_a_lone_slice_are_outlined_alike(shape: tuple[int, ...], tmp_path: Path) -> None:
    plane = scene()[..., 3]
    plane[7, 9] = 100
    plane[6, 8] = 100
    given = save(tmp_path / "scan.nii.gz", plane.reshape(shape))
    grown = ("--method", "grow", "--seed", "2,3", "--lower", 50, "--connectivity", 8, "--fill-holes")
    code, said = run(given, *grown, "--out", tmp_path / "found.npy")
    found = np.load(tmp_path / "found.npy")
    assert code == 0 and found.shape == shape and found.sum() == 22, said


def test_classes_of_an_array_by_otsu_and_what_found_nothing_says_so_first(tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", np.repeat([[0, 10, 30]], 4, axis=0).astype(">u2"))
    code, said = run(
        tmp_path / "scan.npy", "--classes", 3, "--out", tmp_path / "out.npy", "--json", tmp_path / "r.json"
    )
    assert code == 0 and np.array_equal(np.load(tmp_path / "out.npy"), [[0, 1, 2]] * 4), said
    assert json.loads((tmp_path / "r.json").read_text())["spacing_mm"] is None
    code, said = run(tmp_path / "scan.npy", "--method", "threshold", "--lower", 99, "--out", tmp_path / "none.npy")
    assert code == 4 and said.startswith("This has probably failed: nothing was found")
    assert not np.load(tmp_path / "none.npy").any()
    grown = ("--method", "grow", "--seed", "0,0", "--seed", "0,2", "--lower", 20)
    code, said = run(tmp_path / "scan.npy", *grown, "--out", tmp_path / "grown.npy")
    assert code == 4 and "seed (0, 0) has the value 0, outside of [20, inf], and grew nothing" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--method", "ostu"], "did you mean 'otsu'"),
        (["--lower", "3"], "lower is of threshold and grow; otsu has classes"),
        (["--connectivity", "6"], "connectivity is of grow; otsu has classes"),
        (["--largest-part", "--connectivity", "8"], "in 3D connectivity is one of [6, 18, 26]; it is 8"),
        (["--classes", "7"], "classes of Otsu's method must be at most 4"),
        (["--method", "threshold"], "needs lower, upper or both"),
        (["--method", "threshold", "--lower", "nan"], "lower must be a number; it is nan"),
        (["--method", "threshold", "--lower", "3", "--upper", "2"], "must not lie above the upper one"),
        (["--method", "grow", "--tolerance", "3"], "none came"),
        (["--method", "grow", "--seed", "1,2,3"], "needs lower, upper or tolerance"),
        (["--method", "grow", "--seed", "1,2", "--tolerance", "3"], "seeds must be (N, 3) whole numbers"),
        (["--method", "grow", "--seed", "1.5,2,3", "--tolerance", "3"], "--seed must be X,Y or X,Y,Z, whole numbers"),
        (["--method", "grow", "--seed", "1,2,70", "--tolerance", "3"], "[(1, 2, 70)] came"),
        (["--method", "grow", "--seed", "1,2,3", "--tolerance", "3", "--lower", "1"], "give it alone"),
        (["--method", "grow", "--seed", "1,2,3", "--tolerance", "-1"], "must be zero or more"),
        (["--method", "grow", "--seed", "nan,2,3", "--tolerance", "1", "--seeds-in-mm"], "it is nan"),
        (["--method", "atlas"], "one atlas at least"),
        (["--method", "atlas", "--atlas", "a.nii"], "--atlas must be IMAGE=LABELS"),
        (["--truth", "elsewhere.nii"], "does not lie where the image lies"),
        (["--json", "scan.nii"], "scan.nii is read or describes what is; write what is found to another file"),
        (["--out", "scan.nii.gz"], "scan.json is read or describes what is"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "scan.nii", scene())
    save(tmp_path / "elsewhere.nii", scene(), affine=np.eye(4))
    before = sorted(path.name for path in tmp_path.iterdir())
    code, told = run("scan.nii", "--out", "out.nii", *arguments)
    assert code == 1 and said in told, told
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_from_python_every_kind_of_image_comes_back_as_it_came() -> None:
    torch = pytest.importorskip("torch")
    expected = scene() == 100
    for given in (scene(), scene().astype(">f8"), torch.from_numpy(scene()), nib.Nifti1Image(scene(), AFFINE)):  # type: ignore[no-untyped-call]
        found = imaging.segment(given, "grow", seeds=[(2, 3, 2)], tolerance=20)
        assert type(found) is type(given)
        assert np.array_equal(np.asarray(found.dataobj if hasattr(found, "dataobj") else found), expected)


def test_from_python_nothing_unknown_means_something() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'seeds'"):
        imaging.segment(scene(), "grow", seed=[(2, 3, 2)], tolerance=20)
    with pytest.raises(ImageError, match="classes is of otsu; threshold has lower, upper"):
        imaging.segment(scene(), "threshold", classes=2)
    with pytest.raises(ImageError, match="largest_part must be True or False"):
        imaging.segment(scene(), "otsu", largest_part="yes")  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="pairs of an image and its labels"):
        imaging.segment(scene(), "atlas", atlases=[scene()])
    with pytest.warns(UserWarning, match="nothing was found"):
        imaging.segment(np.array([[1.0, np.nan]]), "threshold", lower=2)
    assert set(METHODS) == {"threshold", "otsu", "grow", "atlas"}


def test_an_atlas_carries_its_labels_over(tmp_path: Path) -> None:
    y, x = np.indices((28, 28))
    places = ((14, 14), (12, 15))
    blobs = [np.exp(-((((y - a) / 5) ** 2 + ((x - b) / 7) ** 2) ** 2)) for a, b in places]
    spots = [np.exp(-(((y - a - 7) / 2) ** 2) - ((x - b - 6) / 2) ** 2) for a, b in places]
    blobs = [blob + spot for blob, spot in zip(blobs, spots, strict=True)]  # an ellipse alone fits as well turned
    truths = [((y - a) / 5) ** 2 + ((x - b) / 7) ** 2 < 0.7 for a, b in places]
    noise = np.random.default_rng(0).normal(0, 0.02, (2, 28, 28))
    for name, blob, truth, one in zip(("target", "atlas"), blobs, truths, noise, strict=True):
        np.save(tmp_path / f"{name}.npy", blob + one)
        np.save(tmp_path / f"{name}_labels.npy", 3 * truth.astype(np.uint8))
    pair = f"{tmp_path / 'atlas.npy'}={tmp_path / 'atlas_labels.npy'}"
    out, truth_file = tmp_path / "out.npy", tmp_path / "target_labels.npy"
    code, said = run(
        tmp_path / "target.npy", "--method", "atlas", "--atlas", pair, "--out", out, "--truth", truth_file
    )
    record = json.loads((tmp_path / "out.json").read_text())
    assert code == 0 and set(np.unique(np.load(out))) == {0, 3}, said
    assert record["labels"][0]["dice"] > 0.9
