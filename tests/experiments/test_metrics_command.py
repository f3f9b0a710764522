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
from experiments.measuring.readings import readings_of

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


def test_chosen_figures_of_many_cases_come_with_intervals_by_patient_and_the_worst(
    wardround: Wardround, tmp_path: Path
) -> None:
    """Of d neither map has a label: it has no row, and is counted."""
    for name, first in (("a", 1), ("b", 2), ("c", 1), ("d", 0)):
        write_labels(tmp_path / "truth" / f"{name}.nii", cube(1, int(name != "d")))
        write_labels(tmp_path / "prediction" / f"{name}.nii", cube(first, int(name != "d")))
    whose = tmp_path / "whose.csv"
    whose.write_text("case,patient\na,p\nb,p\nc,q\nd,r\n")
    both = str(tmp_path / "prediction"), str(tmp_path / "truth")
    files = [tmp_path / name for name in ("out.csv", "out.json", "out.html")]
    asked = [f"{flag}={path}" for flag, path in zip(("--csv", "--json", "--figure"), files, strict=True)]
    code, said = wardround("metrics", *both, "--metrics", "dice,lesion_f1,betti-error", f"--patients={whose}", *asked)
    assert code == 0, said
    assert "No label in either map: d." in " ".join(said.split())
    record = json.loads(files[1].read_text())
    assert [(row["case"], row["lesion_f1"], row["found"]) for row in record["rows"]] == [
        ("a", 1.0, "both"),
        ("b", 0.0, "both"),
        ("c", 1.0, "both"),
    ]
    dice, _, betti = record["summary"]
    assert (dice["cases"], dice["undefined"], dice["patients"], dice["median"]) == (4, 1, 2, 1.0)
    assert dice["worst"][0] == ["b", 0.5] and dice["mean_interval"] == [0.75, 1.0]
    assert (betti["undefined"], betti["worst"]) == (0, []) and record["without_labels"] == ["d"]
    with (tmp_path / "out-summary.csv").open(newline="") as file:
        assert [(row["metric"], row["worst"].split(" ")[0]) for row in csv.DictReader(file)][:2] == [
            ("dice", "b"),
            ("lesion_f1", "b"),
        ]
    page = files[2].read_text()
    assert page.index("<h2>b</h2>") < page.index("<h2>a</h2>") and "http" not in page.replace("http://www.w3.org", "")
    whose.write_text("case,patient\na,p\n")
    for wrong, expected in (
        (("--metrics", "lesionf1"), "did you mean 'lesion_f1'"),
        ((f"--patients={whose}",), "does not say whose case 'b'"),
        (("--iou", "50"), "--iou must be above 0"),
        (("--tolerance", "-1"), "--tolerance must be"),
        (("--connectivity", "corner"), "did you mean 'corners'"),
        (("--metrics", "dice", "--data-range", "1"), "are of label maps"),
    ):
        code, said = wardround("metrics", *both, *wrong)
        assert code == 1 and expected in " ".join(said.split()), said


def test_a_prediction_of_chances_is_ranked_and_calibrated(wardround: Wardround, tmp_path: Path) -> None:
    truth, chances = cube(1, 3), np.full((6, 6, 6), 0.2, np.float32)
    chances[1:3, 2:4, 2:4] = 0.8
    paths = write_labels(tmp_path / "chances.nii", chances), write_labels(tmp_path / "truth.nii", truth)
    out, figure = tmp_path / "out.json", tmp_path / "out.html"
    asked = ("--metrics", "dice,auroc,ap,brier,ece", "--json", str(out), "--figure", str(figure))
    code, said = wardround("metrics", *map(str, paths), *asked)
    assert code == 0, said
    (row,) = json.loads(out.read_text())["rows"]
    assert (row["label"], row["dice"], row["auroc"], row["average_precision"]) == (3, 1.0, 1.0, 1.0)
    assert row["brier"] == pytest.approx(0.04, rel=1e-5) and row["ece"] == pytest.approx(0.2, rel=1e-5)
    assert "Reliability curve" in figure.read_text()
    code, said = wardround("metrics", str(paths[1]), str(paths[1]), "--metrics", "auroc")
    assert code == 1 and "must hold chances" in " ".join(said.split())


def test_raters_agree_with_themselves_with_each_other_and_with_their_consensus(
    wardround: Wardround, tmp_path: Path
) -> None:
    """anna twice, a voxel apart in case b; ben as anna at first; cleo lacks the label in b."""
    for folder, firsts in (("one", (1, 1)), ("two", (1, 2)), ("ben", (1, 1)), ("cleo", (1, None))):
        for name, first in zip("ab", firsts, strict=True):
            write_labels(tmp_path / folder / f"{name}.nii", cube(first or 0, 0 if first is None else 1))
    files = [tmp_path / name for name in ("out.csv", "out.json", "out.html")]
    asked = [f"{flag}={path}" for flag, path in zip(("--csv", "--json", "--figure"), files, strict=True)]
    paths = [f"anna={tmp_path / 'one'}", f"anna={tmp_path / 'two'}", str(tmp_path / "ben"), str(tmp_path / "cleo")]
    code, said = wardround("metrics", "--raters", *paths, *asked)
    assert code == 0, said
    record = json.loads(files[1].read_text())
    assert {name: len(places) for name, places in record["observers"].items()} == {"anna": 2, "ben": 1, "cleo": 1}
    mean = {
        (one["kind"], one["first"], one["second"]): one["summary"]["mean"]
        for one in record["summary"]
        if one["metric"] == "dice"
    }
    assert mean["intra", "anna (1)", "anna (2)"] == 0.75 == mean["intra", "all pairs", ""]
    assert mean["inter", "anna (1)", "ben"] == 1.0 and mean["inter", "ben", "cleo"] == 0.5
    assert mean["consensus", "consensus", "ben"] == 1.0 and mean["consensus", "consensus", "cleo"] == 0.5
    far = [one for one in record["rows"] if one["second"] == "cleo" and one["case"] == "b"]
    assert {one["hausdorff_95_mm"] for one in far} == {"infinite"} and {one["found"] for one in far} == {"missed"}
    assert record["fleiss"][0]["kappa"] == 1.0 and record["consensus_of"] == ["anna (1)", "ben", "cleo"]
    with files[0].open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2 * (6 + 4)
    page = files[2].read_text()
    assert page.count("<figure>") == 2 and "anna (2)" in page
    for wrong, expected in (
        ([paths[2]], "two paths at least"),
        ([paths[2], paths[2]], "given twice"),
        ([paths[2], str(tmp_path / "gone")], "there is no file"),
        ([paths[2], paths[3], "--metrics", "dice"], "--raters has neither"),
    ):
        code, said = wardround("metrics", "--raters", *wrong)
        assert code == 1 and expected in " ".join(said.split()), said


def test_raters_without_names_are_told_apart_by_where_their_files_lie() -> None:
    places = [Path(one) for one in ("a/seg.nii.gz", "b/seg.nii.gz", "c.nii", "x/b/seg.nii", "c=d/again.nii")]
    assert [one.name for one in readings_of(places)] == ["a/seg", "b/seg.nii.gz", "c.nii", "x/b/seg.nii", "c"]
