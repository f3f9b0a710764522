"""`wardround metrics` on files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from common.data.geometry import Geometry
from common.data.image import Image, write_image
from common.metrics.elements import sizes

Wardround = Callable[..., tuple[int, str]]


def write_labels(path: Path, values: np.ndarray, spacing_mm: tuple[float, ...] = (1.0, 2.0, 3.0)) -> Path:
    write_image(Image(values, Geometry.of(values.shape, spacing_mm)), path)
    return path


def cube(first: int, label: int = 1) -> np.ndarray:
    values = np.zeros((6, 6, 6), np.uint8)
    values[first : first + 2, 2:4, 2:4] = label
    return values


def test_two_folders_give_a_table_files_and_a_page(wardround: Wardround, tmp_path: Path) -> None:
    for name, first in (("a", 1), ("b", 2)):
        write_labels(tmp_path / "truth" / f"{name}.nii.gz", cube(1))
        write_labels(tmp_path / "prediction" / f"{name}.nii.gz", cube(first))
    files = [tmp_path / name for name in ("out.csv", "out.json", "out.html")]
    asked = [f"{flag}={path}" for flag, path in zip(("--csv", "--json", "--figure"), files, strict=True)]
    code, said = wardround("metrics", str(tmp_path / "prediction"), str(tmp_path / "truth"), *asked)
    assert code == 0, said
    with files[0].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["case"], float(row["dice"]), float(row["hausdorff_mm"])) for row in rows] == [
        ("a", 1.0, 0.0),
        ("b", 0.5, 1.0),
    ]
    assert json.loads(files[1].read_text())["rows"][1]["jaccard"] == 1 / 3
    page = files[2].read_text()
    assert page.count("<figure>") == 6 and "http" not in page.lower()
    assert "mean" in said and "0.750" in said


def test_a_missed_label_is_infinitely_far_and_not_lost_in_the_mean(wardround: Wardround, tmp_path: Path) -> None:
    truth = write_labels(tmp_path / "truth.nii", cube(1))
    empty = write_labels(tmp_path / "empty.nii", np.zeros((6, 6, 6), np.uint8))
    out = tmp_path / "out.json"
    code, said = wardround("metrics", str(empty), str(truth), "--json", str(out), "--label", "1", "--label", "7")
    assert code == 0 and "inf" in said
    missed, absent = json.loads(out.read_text())["rows"]
    assert (missed["dice"], missed["hausdorff_95_mm"], missed["surface_dice"]) == (0.0, "infinite", 0.0)
    assert (absent["label"], absent["dice"], absent["hausdorff_mm"]) == (7, None, None)


def test_outlines_can_be_made_of_elements_that_count_by_area(wardround: Wardround, tmp_path: Path) -> None:
    """A cube of 2 x 4 x 6 mm against itself one voxel further on: 10 of its 26 elements are 1 mm away."""
    truth, moved = (write_labels(tmp_path / f"{first}.nii", cube(first)) for first in (1, 2))
    found = {}
    for surface in ("voxels", "elements"):
        out = tmp_path / f"{surface}.json"
        code, said = wardround(
            "metrics", str(moved), str(truth), "--surface", surface, "--json", str(out), "--tolerance", "0.5"
        )
        assert code == 0 and surface in said, said
        found[surface] = json.loads(out.read_text())
    assert found["voxels"]["rows"][0]["surface_dice"] == 0.5
    table = sizes((1.0, 2.0, 3.0))
    total = 8 * table[1] + 4 * (table[3] + table[5] + table[17]) + 2 * (6 + 3 + 2)
    away = 4 * table[1] + 2 * table[3] + 2 * table[5] + 2 * 6
    assert found["elements"]["rows"][0]["surface_dice"] == pytest.approx(1 - away / total)
    assert found["elements"]["settings"]["outline"] == "elements"
    code, said = wardround("metrics", str(moved), str(truth), "--surface", "element")
    assert code == 1 and "did you mean 'elements'" in " ".join(said.split())


def test_what_cannot_be_compared_is_named(wardround: Wardround, tmp_path: Path) -> None:
    truth = write_labels(tmp_path / "truth" / "a.nii", cube(1))
    elsewhere = write_labels(tmp_path / "elsewhere.nii", cube(1), (1.0, 1.0, 1.0))
    write_labels(tmp_path / "other" / "b.nii", cube(1))
    for prediction, other, said in (
        (elsewhere, truth, "does not lie where the truth lies"),
        (tmp_path / "other", tmp_path / "truth", "in one folder only: a.nii, b.nii"),
        (tmp_path / "other", truth, "two files or two folders"),
        (tmp_path / "gone.nii", truth, "there is no file"),
    ):
        code, words = wardround("metrics", str(prediction), str(other))
        assert code == 1 and said in " ".join(words.split()), words


def test_images_are_compared_where_a_data_range_is_stated(wardround: Wardround, tmp_path: Path) -> None:
    truth = np.random.default_rng(0).random((16, 16, 8)).astype(np.float32)
    for folder, factor in (("truth", 1.0), ("prediction", 0.9)):
        (tmp_path / folder).mkdir()
        write_labels(tmp_path / folder / "a.nii.gz", truth * factor)
        np.save(tmp_path / folder / "b.npy", truth[..., 0] * np.exp(1j * factor))
    files = [tmp_path / name for name in ("out.csv", "out.json", "out.html")]
    asked = [f"{flag}={path}" for flag, path in zip(("--csv", "--json", "--figure"), files, strict=True)]
    both = str(tmp_path / "prediction"), str(tmp_path / "truth")
    code, said = wardround("metrics", *both, "--data-range", "1", *asked)
    assert code == 0, said
    assert "Data range 1." in said and "mean" in said
    record = json.loads(files[1].read_text())
    volume, complex_plane = record["rows"]
    assert record["settings"] == {"data_range": 1.0}
    assert volume["nmse"] == pytest.approx(0.01, rel=1e-4)
    assert volume["psnr_db"] == pytest.approx(10 * np.log10(100 / np.mean(truth.astype(float) ** 2)), rel=1e-4)
    assert complex_plane["psnr_db"] > 100
    assert files[2].read_text().count("<figure>") == 6
    with files[0].open(newline="") as file:
        assert [row["case"] for row in csv.DictReader(file)] == ["a", "b"]
    code, said = wardround("metrics", *both, "--data-range", "1", "--label", "1")
    assert code == 1 and "are of label maps" in " ".join(said.split())
    code, said = wardround("metrics", *both, "--data-range", "0")
    assert code == 1 and "data_range must be finite and above 0" in " ".join(said.split())
