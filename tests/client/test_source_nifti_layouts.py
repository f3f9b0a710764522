"""The NIfTI source in folders as hospitals have them: patterns, names of labels, tables; and what is put aside."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from client.sources._volume_patterns import Pattern
from client.sources.nifti import Nifti
from common.data.cases import Cases, Quarantined
from common.errors import SourceError, StudyError, UnknownNameError
from common.study.catalogue import SOURCES
from common.study.options import Entry

SHAPE = (4, 5, 6)


def write(path: Path, values: Any = 1.0, affine: Any = None, dtype: Any = np.float32) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.broadcast_to(np.asarray(values), SHAPE) if np.ndim(values) == 0 else np.asarray(values)
    nib.save(nib.Nifti1Image(array.astype(dtype), np.eye(4) if affine is None else affine), path)
    return path


def volumes(folder: Path, **options: Any) -> Nifti:
    """The source as a study builds it, with whole volumes as they are stored."""
    given = {"folder": str(folder), "dimensions": 3, "size": 0, "normalisation": "none", **options}
    source: Nifti = SOURCES.build(Entry("nifti", given))
    return source


def reasons(cases: Cases) -> dict[str, str]:
    return {one.name: one.reason for one in cases.quarantined}


def test_a_pattern_finds_files_in_any_layout_and_its_fields_say_whose_they_are(tmp_path: Path) -> None:
    for site, patient, session in (("north", "a", "1"), ("north", "a", "2"), ("south", "b", "1")):
        write(tmp_path / site / f"{patient}_{session}" / "anat" / f"{patient}_T1w.nii.gz", ord(patient))
        write(tmp_path / site / f"{patient}_{session}" / "lesion.nii", 1)
    source = volumes(
        tmp_path, images="{site}/{patient}_{session}/anat/*_T1w.nii.gz", labels="{site}/{patient}_{session}/lesion"
    )
    assert (source.has_sites, source.sites()) == (True, ("north", "south"))
    cases = source.cases("north", 0)
    assert (cases.patients.tolist(), cases.quarantined) == (["a", "a"], ())
    assert (cases.inputs == ord("a")).all()
    assert source.cases("south", 0).patients.tolist() == ["b"]
    assert [path.name for path in source.files("south")] == ["b_T1w.nii.gz", "lesion.nii"]


def test_a_person_field_is_the_person_and_channels_come_in_the_order_of_their_patterns(tmp_path: Path) -> None:
    for person, scan in (("Anna", "s1"), ("anna ", "s2"), ("Bert", "s3")):
        for channel in (0, 1):
            write(tmp_path / f"{person}-{scan}_{channel:04d}.nii.gz", channel)
        write(tmp_path / f"{person}-{scan}_seg.nii.gz", 1)
    cases = volumes(
        tmp_path, images=["{person}-{patient}_0000", "{person}-{patient}_0001"], labels="{person}-{patient}_seg"
    ).cases(None, 0)
    assert sorted(cases.patients.tolist()) == ["anna", "anna", "bert"]
    assert cases.inputs.shape == (3, 2, *SHAPE)
    assert (cases.inputs[:, 0] == 0).all() and (cases.inputs[:, 1] == 1).all()


def test_images_and_labels_may_lie_in_one_folder(tmp_path: Path) -> None:
    for name in ("p1", "p2"):
        write(tmp_path / f"{name}.nii.gz")
        write(tmp_path / f"{name}_seg.nii.gz", 2)
    cases = volumes(tmp_path, images="{patient}.nii.gz", labels="{patient}_seg.nii.gz").cases(None, 0)
    assert (cases.patients.tolist(), cases.quarantined) == (["p1", "p2"], ())


@pytest.mark.parametrize("ending", ["_seg", "_label", "_labels", "_mask", "-mask", "_segmentation", ""])
@pytest.mark.parametrize("image", ["p1", "p1_image"])
def test_labels_may_be_called_after_what_they_are(tmp_path: Path, ending: str, image: str) -> None:
    write(tmp_path / "images" / f"{image}.nii.gz")
    write(tmp_path / "labels" / f"p1{ending}.nii", 2)
    cases = volumes(tmp_path).cases(None, 0)
    assert (len(cases), cases.quarantined) == (1, ())
    assert (cases.targets == 2).all()


def test_two_files_that_could_be_the_labels_are_none(tmp_path: Path) -> None:
    for name in ("p1", "p2"):
        write(tmp_path / "images" / f"{name}.nii.gz")
    for name in ("p1_seg", "p1_mask", "p2", "p2_mask"):
        write(tmp_path / "labels" / f"{name}.nii.gz", 1)
    cases = volumes(tmp_path).cases(None, 0)
    assert cases.patients.tolist() == ["p2"]
    assert "labels/p1_seg.nii.gz and labels/p1_mask.nii.gz" in reasons(cases)["p1"]
    assert reasons(cases)["labels/p2_mask"] == "there is no image for labels/p2_mask.nii.gz"


def test_each_file_may_be_a_class_and_what_a_later_one_takes_is_counted(tmp_path: Path) -> None:
    write(tmp_path / "scan" / "p1.nii.gz")
    organ, tumour = np.zeros(SHAPE), np.zeros(SHAPE)
    organ[:2], tumour[1:3] = 255, 0.5
    write(tmp_path / "organ" / "p1.nii.gz", organ)
    write(tmp_path / "tumour" / "p1.nii.gz", tumour)
    cases = volumes(tmp_path, images="scan", labels=["organ", "tumour"]).cases(None, 0)
    assert cases.targets[0, :, 0, 0].tolist() == [1, 2, 2, 0]
    assert cases.array("removed").tolist() == [[0, 30, 0]]
    with pytest.raises(StudyError, match=r"lists 1 files, one for each of classes but the first; there are 3"):
        volumes(tmp_path, labels=["organ"])


def test_the_values_of_labels_may_be_named(tmp_path: Path) -> None:
    values = np.zeros(SHAPE)
    values[0], values[1], values[2] = 17, 53, 4
    write(tmp_path / "images" / "p1.nii.gz")
    write(tmp_path / "labels" / "p1.nii.gz", values)
    cases = volumes(tmp_path, label_values=[0, 17, 53]).cases(None, 0)
    assert cases.targets[0, :, 0, 0].tolist() == [1, 2, 0, 0]
    with pytest.raises(SourceError, match=r"labels/p1.nii.gz also holds 4, 17, 53. source.label_values says"):
        volumes(tmp_path).cases(None, 0)


def test_without_labels_all_is_background(tmp_path: Path) -> None:
    write(tmp_path / "images" / "p1.nii.gz")
    cases = volumes(tmp_path, labels="").cases(None, 0)
    assert (len(cases), cases.targets.max()) == (1, 0)


def test_what_has_only_one_half_is_put_aside_with_the_reason(tmp_path: Path) -> None:
    for name in ("p1", "p2"):
        write(tmp_path / "images" / f"{name}.nii.gz")
    for name in ("p1", "p3"):
        write(tmp_path / "labels" / f"{name}.nii.gz")
    cases = volumes(tmp_path).cases(None, 0)
    assert cases.patients.tolist() == ["p1"]
    assert reasons(cases) == {
        "p2": "there is no labels/p2.nii.gz",
        "labels/p3": "there is no image for labels/p3.nii.gz",
    }


def test_a_table_and_a_folder_that_differ_are_said(tmp_path: Path) -> None:
    for name in ("p1", "p2", "p3"):
        write(tmp_path / "images" / f"{name}.nii.gz")
        write(tmp_path / "labels" / f"{name}.nii.gz")
    (tmp_path / "sites.csv").write_text("patient,site\np1,b\np2,a\np4,b\n")
    source = volumes(tmp_path, table="sites.csv")
    assert reasons(source.cases("a", 0)) == {"p3": "sites.csv does not name it"}
    assert reasons(source.cases("b", 0)) == {"p4": "sites.csv names it, and there is no file of it"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_table_has_its_own_words_and_delimiter(tmp_path: Path, encoding: str, delimiter: str) -> None:
    for name in ("p1", "p2"):
        write(tmp_path / "images" / f"{name}.nii.gz")
        write(tmp_path / "labels" / f"{name}.nii.gz")
    rows = [["Datei", "Klinik", "Fall"], [" p1 ", "Ko\u0308ln ", "7"], ["p2", "K\u00f6ln", "7"]]
    (tmp_path / "t.csv").write_bytes("\r\n".join(map(delimiter.join, rows)).encode(encoding))
    source = volumes(tmp_path, table="t.csv", patient_column="Datei", site_column="Klinik", person_column="Fall")
    assert source.sites() == ("K\u00f6ln",)
    assert source.cases("K\u00f6ln", 0).patients.tolist() == ["7", "7"]


def test_a_table_without_the_columns_says_what_it_has_and_which_options_name_them(tmp_path: Path) -> None:
    write(tmp_path / "images" / "p1.nii.gz")
    (tmp_path / "t.csv").write_text("file;centre\np1;a\n")
    with pytest.raises(SourceError, match=r"columns file and site. It has: file, centre. .*source.site_column"):
        volumes(tmp_path, table="t.csv").sites()
    (tmp_path / "t.csv").write_bytes("patient,site\np1,Köln\n".encode("cp1252"))
    assert volumes(tmp_path, table="t.csv").sites() == ("Köln",)


@pytest.mark.parametrize("unknown", ["n/a", "-9", "NaN", "?"])
def test_a_hospital_or_person_that_was_not_written_down_is_no_hospital_and_no_person(
    tmp_path: Path, unknown: str
) -> None:
    for name in ("p1", "p2", "p3"):
        write(tmp_path / "images" / f"{name}.nii.gz")
        write(tmp_path / "labels" / f"{name}.nii.gz")
    (tmp_path / "t.csv").write_text(f"patient,site,person\np1,a,x\np2,{unknown},y\np3,a,{unknown}\n")
    source = volumes(tmp_path, table="t.csv")
    cases = source.cases("a", 0)
    assert (source.sites(), cases.patients.tolist()) == (("a",), ["x"])
    assert f"line 3 of {tmp_path / 't.csv'} has '{unknown}' for its hospital" == reasons(cases)["p2"]
    assert f"line 4 of {tmp_path / 't.csv'} has '{unknown}' for its person" == reasons(cases)["p3"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"images": "../{patient}.nii"}, "below the source's folder"),
        ({"labels": "/etc/{patient}.nii"}, "below the source's folder"),
        ({"images": "{patent}.nii"}, "did you mean 'patient'"),
        ({"images": "{patient.nii"}, "a brace without its other half"),
        ({"images": "*/T1.nii.gz"}, "needs a field that tells cases apart"),
        ({"images": "{patient}**.nii"}, r"\*\* for whole folders only"),
        ({"images": "{patient}.nii", "labels": "{session}.nii"}, "has fields"),
        ({"images": "x", "labels": "x"}, "name one place twice"),
        ({"images": []}, "names no image"),
        ({"spacing_mm": [1.0, 1.0]}, "spacing_mm must be three numbers"),
        ({"spacing_mm": [1.0, 0.0, 1.0]}, r"spacing_mm\[1\] must be above zero"),
        ({"window": [300.0, -100.0]}, r"window must be \[low, high\]"),
        ({"size": [4, 4]}, "size must be one number or 3"),
        ({"label_values": [0, 1]}, "label_values must be 3 different numbers"),
        ({"normalisation": "zscor"}, "did you mean 'zscore'"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(tmp_path: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises((StudyError, UnknownNameError), match=said):
        volumes(tmp_path, **options)


def test_a_field_never_reaches_across_folders_and_hidden_files_are_not_seen(tmp_path: Path) -> None:
    for name in ("a/x.nii", "a/b/x.nii", "a/.x.nii", "[a]/x.nii"):
        write(tmp_path / name)
    found = [dict(fields) for _, fields in Pattern("{patient}/x", "images").found(tmp_path)]
    assert found == [{"patient": "[a]"}, {"patient": "a"}]
    deep = [path.relative_to(tmp_path).as_posix() for path, _ in Pattern("**/{patient}.nii", "i").found(tmp_path)]
    assert deep == ["[a]/x.nii", "a/b/x.nii", "a/x.nii"]
    assert [dict(f) for _, f in Pattern("[a]/{patient}.nii", "i").found(tmp_path)] == [{"patient": "x"}]


def test_case_12_every_case_of_the_hospital_that_lost_half_is_used(shared_data: Path) -> None:
    source = Nifti(
        str(shared_data.parent / "cases" / "12-unusable-without-a-reason" / "data"),
        "sites.csv",
        ("background", "ball"),
        size=32,
        slices_per_patient=4,
    )
    for site in source.sites():
        cases = source.cases(site, 0)
        assert (len(set(cases.patients)), cases.quarantined) == (6, ())


def broken(tmp_path: Path, image: Any, labels: Any = None, **options: Any) -> str:
    """Why one scan is put aside; image and labels: how to write a file at a path."""
    for kind, make in (("images", image), ("labels", labels or (lambda path: write(path, 1)))):
        (tmp_path / kind).mkdir()
        make(tmp_path / kind / "p1.nii.gz")
    (part,) = volumes(tmp_path, **options).parts(None, 0)
    assert isinstance(part, Quarantined)
    return part.reason


def sheared(path: Path) -> None:
    affine = np.eye(4)
    affine[0, 2] = 0.3
    write(path, affine=affine)


def placed(path: Path, slope: float) -> None:
    """A header that a library would not write."""
    header = nib.Nifti1Header()
    header.set_data_shape(SHAPE)
    header.set_data_dtype(np.float32)
    header["vox_offset"], header["magic"], header["sform_code"] = 352, b"n+1\0", 1
    header["srow_x"], header["srow_y"], header["srow_z"] = (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, slope, 0)
    path.write_bytes(header.binaryblock + bytes(4 + 4 * 120))


def of_codes_zero(path: Path) -> None:
    image = nib.Nifti1Image(np.ones(SHAPE, np.float32), None)
    image.header.set_zooms((2.0, 2.0, 2.0))
    nib.save(image, path)


@pytest.mark.parametrize(
    ("image", "labels", "said"),
    [
        (sheared, sheared, "the axes of images/p1.nii.gz are sheared: two stand at 73.3 degrees"),
        (of_codes_zero, None, "labels/p1.nii.gz lie in different places .* images/p1.nii.gz says nowhere"),
        (lambda path: placed(path, 0.0), None, "images/p1.nii.gz .* has no length, or is not finite"),
        (lambda path: placed(path, np.nan), None, "images/p1.nii.gz .* has no length, or is not finite"),
        (lambda path: write(path, np.where(np.arange(6) < 2, np.nan, 1.0) * np.ones(SHAPE)), None, "40 voxels"),
        (
            lambda path: write(path, np.ones((*SHAPE, 2))),
            None,
            "images/p1.nii.gz holds 2 volumes along .*channels_a_file",
        ),
        (lambda path: write(path, np.ones((*SHAPE, 1, 2))), None, "images/p1.nii.gz must have three axes"),
        (write, lambda path: write(path, 0.5), "labels in labels/p1.nii.gz are not whole numbers"),
        (write, lambda path: write(path, np.ones((4, 5, 7))), r"differ in shape: \(4, 5, 6\) and \(4, 5, 7\)"),
        (write, lambda path: write(path, np.nan), "labels/p1.nii.gz holds 120 voxels that are not finite"),
        (lambda path: path.write_bytes(b"x"), None, "images/p1.nii.gz is not a readable NIfTI"),
    ],
)
def test_a_reason_names_the_file_and_what_is_wrong(tmp_path: Path, image: Any, labels: Any, said: str) -> None:
    assert re.search(said, broken(tmp_path, image, labels))


def test_codes_of_zero_in_both_files_are_a_place_like_any_other(tmp_path: Path) -> None:
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
        of_codes_zero(tmp_path / kind / "p1.nii.gz")
    cases = volumes(tmp_path).cases(None, 0)
    assert cases.spacing_mm == (2.0, 2.0, 2.0)


def test_voxels_that_are_not_finite_may_become_the_least(tmp_path: Path) -> None:
    values = np.full(SHAPE, 5.0)
    values[0, 0, 0], values[0, 0, 1], values[0, 0, 2] = np.nan, -np.inf, -3
    write(tmp_path / "images" / "p1.nii.gz", values)
    cases = volumes(tmp_path, labels="", not_finite="least").cases(None, 0)
    assert cases.inputs[0, 0, 0, 0, :4].tolist() == [-3, -3, -3, 5]


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 1, 1)])
def test_an_image_of_one_slice_is_one_slice_whatever_its_thickness(tmp_path: Path, shape: tuple[int, ...]) -> None:
    for kind in ("images", "labels"):
        path = write(tmp_path / kind / "p1.nii", np.ones(shape))
        image = nib.load(path)
        image.header["pixdim"][3] = 0
        image.header.set_sform(np.diag([2.0, 3.0, 0.0, 1.0]), code=1)
        path.write_bytes(image.header.binaryblock + bytes(4) + np.ones(shape, np.float32).tobytes())
    cases = Nifti(str(tmp_path), size=0).cases(None, 0)
    assert (cases.inputs.shape, cases.spacing_mm, cases.quarantined) == ((1, 1, 4, 5), (2.0, 3.0), ())


def test_volumes_along_the_fourth_axis_are_channels(tmp_path: Path) -> None:
    write(tmp_path / "images" / "p1.nii.gz", np.ones((*SHAPE, 3)) * [1, 2, 3])
    write(tmp_path / "labels" / "p1.nii.gz")
    cases = volumes(tmp_path, channels_a_file=3).cases(None, 0)
    assert cases.inputs[0, :, 0, 0, 0].tolist() == [1, 2, 3]


def test_parts_are_the_cases_and_files_are_what_they_read(tmp_path: Path) -> None:
    for index in range(3):
        write(tmp_path / "images" / f"p{index}.nii.gz", index)
        write(tmp_path / "labels" / f"p{index}.nii.gz")
    source = volumes(tmp_path)
    parts = [part for part in source.parts(None, 0) if isinstance(part, Cases)]
    assert [len(part) for part in parts] == [1, 1, 1]
    np.testing.assert_array_equal(np.concatenate([part.inputs for part in parts]), source.cases(None, 0).inputs)
    assert list(source.files(None)) == sorted(tmp_path.rglob("*.nii.gz"))
    (tmp_path / "labels" / "p1.nii.gz").unlink()
    assert list(source.files(None)) == sorted(tmp_path.rglob("*.nii.gz"))
