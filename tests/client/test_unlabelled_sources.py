"""A folder of images without labels is data for a task that needs none; what cannot be read is still put aside."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from client.partitions.dirichlet import Dirichlet
from client.partitions.quantity import Quantity
from client.prepared import VARIABLE, cases_of
from client.records import records_of_cases
from client.sources.images import Images
from client.sources.lgg import Lgg
from client.sources.medmnist import MedMnist
from client.sources.nifti import Nifti
from client.sources.npz import Npz
from common.data.cases import Cases, no_truth
from common.errors import SourceError, StudyError
from common.study.catalogue import SOURCES
from common.study.options import Entry
from common.study.plugins import ANYTHING, trusting
from tests.client import source_makers

READ_ALONE = ("bids", "dicom", "images", "lgg", "medmnist", "nifti", "npz", "torch")
MORE: dict[str, dict[str, Any]] = {"lgg": {"slices": "all"}}


def made(name: str, folder: Path) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    options: dict[str, Any] = getattr(source_makers, f"make_{name}")(folder)[0]
    return {**options, **MORE.get(name, {}), "unlabelled": True}


def without_labels(name: str, folder: Path) -> None:
    """Take from tiny data whatever only labels are kept in."""
    for path in sorted(folder.rglob("*")):
        if path.name in ("labels", "derivatives", "masks") and path.is_dir():
            shutil.rmtree(path)
        elif path.name == "segmentation" or path.stem.removesuffix(".nii").endswith("dseg"):
            path.unlink(missing_ok=True)
        elif path.suffix == ".npz" and path.exists():
            with np.load(path) as held:
                kept = {key: held[key] for key in held.files if "label" not in key and key not in ("mask", "y")}
            np.savez(path, **kept)


@pytest.fixture(autouse=True)
def trusted() -> Iterator[None]:
    with trusting(ANYTHING):
        yield


@pytest.mark.parametrize("name", READ_ALONE)
def test_without_its_labels_a_source_gives_the_same_images_of_the_same_persons(name: str, tmp_path: Path) -> None:
    source = SOURCES.build(Entry(name, made(name, tmp_path / "data")))
    site = source.sites()[0] if source.has_sites else None
    before = source.cases(site, 0)
    without_labels(name, tmp_path / "data")
    after = source.cases(site, 0)
    assert after.unlabelled and after.shape.classes == 0 and not after.label_counts
    assert not {"removed", "unsampled"} & after.columns.keys()
    assert after.patients.tolist() == before.patients.tolist()
    assert all(
        np.array_equal(one, other) for one, other in zip(after.pieces("inputs"), before.pieces("inputs"), strict=True)
    )


def test_every_source_that_can_read_images_alone_is_tried_here() -> None:
    able = {name for name in SOURCES.names() if "unlabelled" in {one.name for one in fields(SOURCES.load(name))}}
    assert able - {"dicomweb"} == set(READ_ALONE)


def pictures(folder: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 10 * number + 5, np.uint8)).save(path)


def test_a_folder_of_images_and_nothing_else_is_enough_and_a_broken_one_is_put_aside(tmp_path: Path) -> None:
    pictures(tmp_path, ["p1.png", "deep/p2.png", "p3.png"])
    (tmp_path / "p4.png").write_bytes(b"no image")
    cases = Images(str(tmp_path), size=8, unlabelled=True).cases(None, 0)
    assert cases.patients.tolist() == ["deep/p2", "p1", "p3"] and cases.unlabelled
    assert [one.name for one in cases.quarantined] == ["p4.png"]


def test_where_some_have_masks_all_are_read_and_no_mask_is_taken_for_an_image(tmp_path: Path) -> None:
    pictures(tmp_path, ["images/p1.png", "images/p2.png", "images/p3.png"])
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "masks" / "p1.png")
    given = {"images": "**/{name}.png", "masks": "masks/{name}.png", "classes": ("background", "lesion"), "size": 8}
    alone = Images(str(tmp_path), **given, unlabelled=True)
    assert alone.cases(None, 0).patients.tolist() == ["images/p1", "images/p2", "images/p3"]
    labelled = Images(str(tmp_path), **given).cases(None, 0)
    assert labelled.patients.tolist() == ["images/p1"] and len(labelled.quarantined) == 2


def test_a_table_needs_no_column_of_labels(tmp_path: Path) -> None:
    pictures(tmp_path, ["a.png", "b.png"])
    (tmp_path / "t.csv").write_text("path,person,site\na.png,p,A\nb.png,q,B\n")
    source = Images(str(tmp_path), table="t.csv", site="site", size=8, unlabelled=True)
    assert source.sites() == ("A", "B") and source.cases("B", 0).patients.tolist() == ["q"]


@pytest.mark.parametrize(
    "make", [lambda folder: Images(str(folder)), lambda folder: Images(str(folder), images="{person}.png")]
)
def test_whoever_has_no_labels_is_told_of_the_option(make: Callable[[Path], Images], tmp_path: Path) -> None:
    pictures(tmp_path, ["p1.png"])
    with pytest.raises((SourceError, StudyError), match="unlabelled = true"):
        make(tmp_path).cases(None, 0)


def test_arrays_need_no_targets_and_are_told_so(tmp_path: Path) -> None:
    np.savez(tmp_path / "A.npz", x=np.ones((3, 1, 4, 4), np.float32), person=np.array(["p", "q", "q"]))
    assert Npz(str(tmp_path), unlabelled=True, target="survival", channels="first").cases(
        "A", 0
    ).patients.tolist() == ["p", "q", "q"]
    with pytest.raises(SourceError, match="unlabelled = true"):
        Npz(str(tmp_path)).cases("A", 0)


def test_slices_are_spread_over_the_volume_and_not_over_its_outline(tmp_path: Path) -> None:
    source = SOURCES.build(Entry("nifti", {**made("nifti", tmp_path / "data"), "slices_per_patient": 2}))
    assert isinstance(source, Nifti)
    affines = source.cases(source.sites()[0] if source.has_sites else None, 0).array("affine")
    depths = sorted({round(float(one[2, 3] - affines[0][2, 3]), 3) for one in affines})
    assert len(depths) > 1


def test_tumours_cannot_be_chosen_without_masks() -> None:
    with pytest.raises(StudyError, match=r"source\.slices = 'all'"):
        Lgg(unlabelled=True)


def test_a_partition_by_labels_says_what_it_lacks_and_others_divide(tmp_path: Path) -> None:
    source = MedMnist(**{key: value for key, value in made("medmnist", tmp_path).items() if key != "classes"})
    cases = source.cases(None, 0)
    assert len(set(Quantity(2).assign(cases, np.random.default_rng(0)).tolist())) == 2
    with pytest.raises(StudyError, match="divides by labels"):
        Dirichlet(2).assign(cases, np.random.default_rng(0))


def test_no_truth_is_no_fact_of_a_person_and_lies_prepared_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "prepared"))
    pictures(tmp_path / "data", ["p1.png", "p2.png"])
    entry = Entry("images", {"folder": str(tmp_path / "data"), "size": 8, "unlabelled": True})
    source = SOURCES.build(entry)
    for _ in range(2):
        cases = cases_of(source, entry, None, 0)
        assert cases.unlabelled and tuple(cases.batch().targets.shape) == (2, 0)
    assert not {"class", "target"} & set(records_of_cases(cases, source, "a").columns)


def test_only_an_empty_truth_is_none() -> None:
    inputs = np.zeros((2, 1, 4, 4), np.float32)
    assert Cases.of(inputs, no_truth(2), ["a", "b"]).unlabelled
    assert not Cases.of(inputs, np.zeros(2, np.float32), ["a", "b"]).unlabelled
