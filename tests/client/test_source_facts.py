"""Golden facts of each source: hostile files by hand, and the counts of the real data."""

from __future__ import annotations

from collections import Counter
from hashlib import md5
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from client.sources.heart import Heart
from client.sources.lgg import Lgg
from client.sources.medmnist import MedMnist
from client.sources.mnist import Mnist, read_idx
from client.sources.nifti import Nifti
from common.errors import SourceError, UnknownNameError


def test_a_heart_row_becomes_thirteen_features(tmp_path: Path) -> None:
    row = "63,1,4,145,233,1,2,150,0,2.3,3,0,6,3"
    (tmp_path / "processed.va.data").write_text(row + "\n")
    cases = Heart(str(tmp_path), scaling="none").cases("va", 0)
    np.testing.assert_allclose(cases.inputs[0], [63, 1, 145, 233, 1, 150, 0, 2.3, 0, 0, 1, 0, 1], rtol=1e-6)
    assert cases.targets.tolist() == [1]


def test_a_patient_with_a_missing_value_is_counted_and_left_out(tmp_path: Path) -> None:
    rows = ["63,1,4,145,233,1,2,150,0,2.3,3,0,6,3", "63,1,4,?,233,1,2,150,0,2.3,3,0,6,3"]
    (tmp_path / "processed.va.data").write_text("\n".join(rows))
    cases = Heart(str(tmp_path)).cases("va", 0)
    assert (len(cases), [q.reason for q in cases.quarantined]) == (1, ["missing values in columns [3]"])


def test_an_unknown_hospital_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'cleveland'"):
        Heart(str(tmp_path)).cases("clevland", 0)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00\x00\x08\x03", b"\x00\x00\x0d\x01\x00\x00\x00\x01\x00", b"\x00\x00\x08\x01\x00\x00\x00\x09abc"],
)
def test_what_is_no_idx_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "labels").write_bytes(data)
    with pytest.raises(SourceError, match=r"idx file|holds"):
        read_idx(tmp_path, "labels", 1)


def test_an_npz_is_never_unpickled(tmp_path: Path) -> None:
    names = [f"{part}_{kind}" for part in ("train", "val", "test") for kind in ("images", "labels")]
    np.savez(tmp_path / "evil.npz", **{name: np.array([{"run": "me"}], dtype=object) for name in names})
    with pytest.raises(SourceError, match="not a readable"):
        MedMnist(str(tmp_path)).cases(None, 0)


def test_a_set_of_volumes_keeps_their_three_axes(tmp_path: Path) -> None:
    arrays = {f"{part}_images": np.zeros((2, 4, 5, 6), np.uint8) for part in ("train", "val", "test")}
    arrays["val_images"][1, 3, 0, 5] = 51
    arrays |= {f"{part}_labels": np.array([[0], [1]], np.uint8) for part in ("train", "val", "test")}
    np.savez(tmp_path / "set3d.npz", **arrays)
    cases = MedMnist(str(tmp_path)).cases(None, 0)
    assert cases.inputs.shape == (6, 1, 4, 5, 6)
    assert np.argwhere(cases.inputs).tolist() == [[3, 0, 3, 0, 5]]
    assert cases.inputs.max() == pytest.approx(0.2)


def test_a_volume_stored_in_another_orientation_gives_the_same_slices(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    image, labels = rng.normal(size=(6, 7, 5)).astype(np.float32), rng.integers(0, 3, (6, 7, 5)).astype(np.uint8)
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    turned = nib.orientations.axcodes2ornt(("P", "L", "S"))
    loaded = []
    for folder, orientation in (("ras", None), ("pls", turned)):
        for kind, values in (("images", image), ("labels", labels)):
            stored = nib.Nifti1Image(values, affine)
            if orientation is not None:
                stored = stored.as_reoriented(
                    nib.orientations.ornt_transform(nib.io_orientation(affine), orientation)
                )
            (tmp_path / folder / kind).mkdir(parents=True, exist_ok=True)
            nib.save(stored, tmp_path / folder / kind / "p.nii.gz")
        loaded.append(Nifti(str(tmp_path / folder), size=8, slices_per_patient=0).cases(None, 0))
    np.testing.assert_array_equal(loaded[0].targets, loaded[1].targets)
    np.testing.assert_allclose(loaded[0].inputs, loaded[1].inputs, atol=1e-6)
    assert loaded[0].spacing_mm == loaded[1].spacing_mm == (1.0, 2.0)
    assert len(loaded[0]) == 5


@pytest.mark.parametrize(
    ("image", "labels", "shift", "said"),
    [
        (np.full((4, 4, 4), np.nan, np.float32), np.ones((4, 4, 4)), 0, "not finite"),
        (np.ones((4, 4, 4), np.float32), np.ones((4, 4, 5)), 0, "differ in shape"),
        (np.ones((4, 4, 4), np.float32), np.full((4, 4, 4), 7), 0, "whole numbers from 0 to 2"),
        (np.ones((4, 4, 4), np.float32), np.ones((4, 4, 4)), 3, "different places"),
    ],
)
def test_a_volume_and_labels_that_do_not_fit_are_quarantined(
    tmp_path: Path, image: np.ndarray, labels: np.ndarray, shift: float, said: str
) -> None:
    moved = np.eye(4)
    moved[0, 3] = shift
    good = np.random.default_rng(0).normal(size=(4, 4, 4)).astype(np.float32)
    for kind, bad, fine, place in (
        ("images", image, good, np.eye(4)),
        ("labels", labels.astype(np.uint8), np.ones((4, 4, 4), np.uint8), moved),
    ):
        (tmp_path / kind).mkdir()
        nib.save(nib.Nifti1Image(bad, place), tmp_path / kind / "bad.nii.gz")
        nib.save(nib.Nifti1Image(fine, np.eye(4)), tmp_path / kind / "good.nii.gz")
    cases = Nifti(str(tmp_path), size=4).cases(None, 0)
    assert set(cases.patients) == {"good"}
    assert [q.name for q in cases.quarantined] == ["bad"]
    assert said in cases.quarantined[0].reason


def test_heart_has_flambys_patients_and_split(shared_data: Path) -> None:
    source = Heart(str(shared_data / "heart-disease-4centre"), given_split="flamby")
    found = {site: Counter(np.asarray(source.cases(site, 0).given_split).tolist()) for site in source.sites()}
    counts = {site: (count["train"], count["test"]) for site, count in found.items()}
    assert counts == {"cleveland": (199, 104), "hungarian": (172, 89), "switzerland": (30, 16), "va": (85, 45)}


def test_mnist_is_the_published_one(shared_data: Path) -> None:
    images = read_idx(shared_data / "mnist", "t10k-images-idx3-ubyte", 3)
    header = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in images.shape)
    assert md5(header + images.tobytes()).hexdigest() == "2646ac647ad5339dbf082846283269ea"
    cases = Mnist(str(shared_data / "mnist")).cases(None, 0)
    assert Counter(np.asarray(cases.given_split).tolist()) == {"train": 60000, "test": 10000}
    assert np.bincount(cases.targets[:60000]).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


def test_the_glioma_set_has_its_institutions(shared_data: Path) -> None:
    source = Lgg(str(shared_data / "lgg-mri-5site"))
    assert {site: len(set(source.cases(site, 0).patients)) for site in source.sites()} == {
        "CS": 16,
        "DU": 45,
        "FG": 14,
        "HT": 34,
    }


def test_the_hippocampus_set_is_whole(shared_data: Path) -> None:
    cases = Nifti(str(shared_data / "hippocampus")).cases(None, 0)
    assert (len(set(cases.patients)), cases.quarantined, set(np.unique(cases.targets))) == (260, (), {0, 1, 2})


def test_the_pneumonia_set_has_the_published_counts(shared_data: Path) -> None:
    cases = MedMnist(str(shared_data / "pneumoniamnist")).cases(None, 0)
    split = Counter(np.asarray(cases.given_split).tolist())
    assert split == {"train": 4708, "validation": 524, "test": 624}
    assert Counter(cases.targets[:4708].tolist()) == {1: 3494, 0: 1214}
