"""The NIfTI source with whole volumes: cropped and filled around the centre, beside the slices it always gave."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from client.evaluation import evaluate
from client.handlers import hello
from client.hospital import open_hospital
from client.sources.nifti import Nifti
from common.errors import StudyError
from common.study.catalogue import SOURCES
from common.study.options import Entry
from common.study.study import parse
from common.sums.exchange import Payload


def write(folder: Path, name: str, shape: tuple[int, ...], spacing_mm: tuple[float, ...] = (1.0, 1.5, 2.0)) -> None:
    rng = np.random.default_rng(len(name))
    labels = np.zeros(shape, np.uint8)
    labels[tuple(slice(length // 2, length // 2 + 1) for length in shape)] = 2
    for kind, values in (("images", rng.normal(size=shape).astype(np.float32)), ("labels", labels)):
        (folder / kind).mkdir(exist_ok=True)
        nib.save(nib.Nifti1Image(values, np.diag([*spacing_mm, 1.0])), folder / kind / f"{name}.nii.gz")


def test_a_volume_is_a_cube_about_its_centre(tmp_path: Path) -> None:
    write(tmp_path, "p1", (4, 8, 6))
    cases = Nifti(str(tmp_path), dimensions=3, size=6).cases(None, 0)
    assert (cases.inputs.shape, cases.targets.shape) == ((1, 1, 6, 6, 6), (1, 6, 6, 6))
    assert (cases.inputs.dtype, cases.targets.dtype) == (np.float32, np.uint8)
    assert cases.spacing_mm == (1.0, 1.5, 2.0)
    assert np.argwhere(cases.targets[0] == 2).tolist() == [[3, 3, 3]]
    stored = np.asarray(nib.load(tmp_path / "images" / "p1.nii.gz").dataobj)
    scaled = (stored - stored.mean()) / stored.std()
    np.testing.assert_allclose(cases.inputs[0, 0, 1:5], scaled[:, 1:7], rtol=1e-4, atol=1e-5)
    assert (cases.inputs[0, 0, [0, 5]] == cases.inputs.min()).all()


def test_a_patient_is_one_volume(tmp_path: Path) -> None:
    for index in range(3):
        write(tmp_path, f"p{index}", (5 + index, 6, 7))
    (tmp_path / "images" / "p1.nii.gz").write_bytes(b"broken")
    cases = Nifti(str(tmp_path), dimensions=3, size=8).cases(None, 0)
    assert cases.patients.tolist() == ["p0", "p2"]
    assert [quarantined.name for quarantined in cases.quarantined] == ["p1"]


def test_volumes_of_different_spacing_have_none_in_common(tmp_path: Path) -> None:
    write(tmp_path, "p1", (4, 4, 4))
    write(tmp_path, "p2", (4, 4, 4), (1.0, 1.5, 3.0))
    assert Nifti(str(tmp_path), dimensions=3, size=4).cases(None, 0).spacing_mm == ()
    assert Nifti(str(tmp_path), dimensions=2, size=4).cases(None, 0).spacing_mm == (1.0, 1.5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_all_slices_of_a_patient_together_are_the_volume(tmp_path: Path, axis: int) -> None:
    write(tmp_path, "p1", (6, 6, 6))
    volume = Nifti(str(tmp_path), dimensions=3, size=6).cases(None, 0)
    slices = Nifti(str(tmp_path), size=6, axis=axis, slices_per_patient=0).cases(None, 0)
    np.testing.assert_array_equal(np.moveaxis(volume.inputs[0, 0], axis, 0), slices.inputs[:, 0])
    np.testing.assert_array_equal(np.moveaxis(volume.targets[0], axis, 0), slices.targets)


@pytest.mark.parametrize(
    "options", [{"dimensions": 4}, {"dimensions": 3, "size": 513}, {"dimensions": 3, "size": -1}]
)
def test_a_cube_that_cannot_be_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(StudyError, match=r"dimensions|size"):
        SOURCES.build(Entry("nifti", options))


def test_outlines_of_the_hippocampus_set_fit_the_studys_cube(shared_data: Path, tmp_path: Path) -> None:
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
        for path in sorted((shared_data / "hippocampus" / kind).glob("*.nii.gz"))[::20]:
            (tmp_path / kind / path.name).symlink_to(path)
    cases, whole = (Nifti(str(tmp_path), dimensions=3, size=size).cases(None, 0) for size in (52, 64))
    assert len(cases) == 13
    assert cases.spacing_mm == (1.0, 1.0, 1.0)
    assert np.count_nonzero(cases.targets) == np.count_nonzero(whole.targets)


def test_hospitals_of_volumes_of_unlike_shape_agree_on_what_the_network_is_shown(tmp_path: Path) -> None:
    for index in range(8):
        write(tmp_path, f"p{index}", (5 + index % 2, 6, 7))
    study = parse(f"""
        title = "Unlike"
        strategy = "fedavg"
        rounds = 1
        [source]
        name = "nifti"
        folder = "{tmp_path}"
        dimensions = 3
        size = 0
        [partition]
        name = "dirichlet"
        hospitals = 4
        [task]
        name = "segmentation"
        network = {{ name = "unet", channels = 2, depth = 2 }}
        patch = [4, 4, 4]
    """)
    for index in range(4):
        hospital = open_hospital(study.json, index)
        told = hello(hospital, Payload(None, {}, {}), {}).numbers
        assert told["shape"] == [1, 4, 4, 4]
        assert sum(told["labels"]) == sum(one.size for one in hospital.train.pieces("targets"))
        assert evaluate(hospital.task, hospital.network, hospital.train)["dice"].weight_units > 0
