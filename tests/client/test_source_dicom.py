"""The DICOM source: where voxels lie and what their numbers are, by hand and by a second library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest

from client.sources._volume_scans import Scan
from client.sources.dicom import Dicom
from common.data.cases import Cases, Quarantined
from common.errors import SourceError, StudyError
from tests.client.dicom_files import AXIAL, enhanced, image, save, save_all, slices, values

OBLIQUE = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)


def labelled(folder: Path, patients: tuple[str, ...] = ("P1", "P2", "P3")) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{patient},{'ab'[index % 2]}" for index, patient in enumerate(patients)]
    (folder / "table.csv").write_text("\n".join(["PatientID,label", *rows]) + "\n")
    return folder


def source(folder: Path, **options: Any) -> Dicom:
    """Whole volumes with the numbers they have."""
    if not (folder / "table.csv").exists():
        labelled(folder)
    plain: dict[str, Any] = {
        "labels": "table",
        "table": "table.csv",
        "classes": ("a", "b"),
        "dimensions": 3,
        "size": 0,
    }
    return Dicom(str(folder), **{**plain, "normalisation": "none", **options})


def one_volume(folder: Path, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """(x, y, z) and affine of the only series."""
    parts = [one for one in source(folder, **options).parts(None, 0) if not is_lost_row(one)]
    assert len(parts) == 1 and isinstance(parts[0], Cases), parts
    return parts[0].inputs[0, 0], parts[0].array("affine")[0]


def is_lost_row(one: Cases | Quarantined) -> bool:
    return isinstance(one, Quarantined) and "there is no series of it" in one.reason


def reasons(folder: Path, **options: Any) -> dict[str, str]:
    parts = source(folder, **options).parts(None, 0)
    return {one.name: one.reason for one in parts if isinstance(one, Quarantined) and not is_lost_row(one)}


def test_axial_slices_of_anisotropic_pixels_lie_where_a_hand_puts_them(tmp_path: Path) -> None:
    stored = values((4, 5, 6))
    save_all(slices(stored, (10.0, 20.0, 30.0), AXIAL, pixel_spacing=(2.0, 1.5), gap_mm=3.0), tmp_path)
    found, affine = one_volume(tmp_path)
    assert found.shape == (6, 5, 4)
    expected = np.diag([1.5, 2.0, 3.0, 1.0])
    expected[:3, 3] = [-10.0 - 5 * 1.5, -20.0 - 4 * 2.0, 30.0]
    np.testing.assert_allclose(affine, expected, atol=1e-9)
    np.testing.assert_array_equal(found, stored.transpose(2, 1, 0)[::-1, ::-1])


@pytest.mark.parametrize(
    "orientation", [AXIAL, OBLIQUE, (0.0, 1.0, 0.0, 0.0, 0.0, -1.0), (-1.0, 0.0, 0.0, 0.0, 0.6, 0.8)]
)
def test_every_voxel_lies_where_highdicom_puts_it(orientation: tuple[float, ...], tmp_path: Path) -> None:
    stored = values((3, 4, 5))
    made = slices(stored, (-7.0, 11.0, 5.5), orientation, (0.7, 1.9), 2.5, RescaleIntercept=-1024)
    save_all(made, tmp_path)
    found, affine = one_volume(tmp_path)
    check_against_highdicom(made, found, affine)


def check_against_highdicom(made: list[Any], found: np.ndarray, affine: np.ndarray) -> None:
    oracle = highdicom.get_volume_from_series(made)
    index = np.argwhere(np.ones(oracle.array.shape))
    ras = np.diag([-1, -1, 1, 1]) @ oracle.affine @ np.c_[index, np.ones(len(index))].T
    there = np.linalg.inv(affine) @ ras
    places = np.rint(there[:3]).astype(int)
    np.testing.assert_allclose(there[:3], places, atol=1e-4)
    np.testing.assert_array_equal(found[tuple(places)], oracle.array.ravel())
    assert (np.abs(affine[:3, :3]).argmax(0) == [0, 1, 2]).all() and (np.diag(affine)[:3] > 0).all()


def test_slices_may_lie_in_any_folders_under_any_names(tmp_path: Path) -> None:
    made = slices(values())
    save(made[0], tmp_path / "x" / "b.dcm")
    save(made[1], tmp_path / "y" / "z" / "a")
    save(made[2], tmp_path / "x" / "1.2.3.4")
    save(made[3], tmp_path / "0.IMA")
    (tmp_path / "DICOMDIR").write_bytes(b"anything")
    np.testing.assert_array_equal(one_volume(tmp_path)[0], values().transpose(2, 1, 0)[::-1, ::-1])


def test_every_slice_has_its_own_slope_as_in_pet(tmp_path: Path) -> None:
    stored = values((3, 4, 5))
    made = slices(stored, modality="PT")
    for index, one in enumerate(made):
        one.RescaleSlope, one.RescaleIntercept = [0.5, 2.0, 10.0][index], index
    save_all(made, tmp_path)
    found, _ = one_volume(tmp_path)
    np.testing.assert_allclose(found[::-1, ::-1, 0].T, stored[0] * 0.5)
    np.testing.assert_allclose(found[::-1, ::-1, 2].T, stored[2] * 10.0 + 2)


@pytest.mark.parametrize("signed", [False, True])
def test_bits_that_are_not_stored_may_hold_anything(signed: bool, tmp_path: Path) -> None:
    truth = np.arange(60).reshape(3, 4, 5) - (30 if signed else 0)
    garbage = np.random.default_rng(0).integers(0, 16, truth.shape) << 12
    stored = ((truth & 0xFFF) | garbage).astype(np.uint16)
    save_all(slices(stored, BitsStored=12, HighBit=11, PixelRepresentation=int(signed)), tmp_path)
    np.testing.assert_array_equal(one_volume(tmp_path)[0], truth.transpose(2, 1, 0)[::-1, ::-1])


def test_stored_bits_may_lie_at_the_top_of_their_cell(tmp_path: Path) -> None:
    truth = np.arange(60).reshape(3, 4, 5)
    save_all(slices((truth << 4 | 5).astype(np.uint16), BitsStored=12, HighBit=15), tmp_path)
    np.testing.assert_array_equal(one_volume(tmp_path)[0], truth.transpose(2, 1, 0)[::-1, ::-1])


def test_white_is_high_in_mr_and_a_hounsfield_unit_is_itself(tmp_path: Path) -> None:
    truth = np.arange(60).reshape(3, 4, 5).astype(np.uint16)
    inverted = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 8, "HighBit": 7}
    save_all(slices(truth, modality="MR", **inverted), tmp_path / "mr")
    save_all(slices(truth, modality="CT", **inverted), tmp_path / "ct")
    np.testing.assert_array_equal(one_volume(tmp_path / "mr")[0], 255 - truth.transpose(2, 1, 0)[::-1, ::-1])
    np.testing.assert_array_equal(one_volume(tmp_path / "ct")[0], truth.transpose(2, 1, 0)[::-1, ::-1])


def test_padding_has_the_least_value_that_was_measured(tmp_path: Path) -> None:
    stored = values((3, 4, 5))
    stored[0, 0, 0] = -2000
    stored[1, 1] = -1990
    made = slices(stored, RescaleIntercept=-1000)
    for one in made:
        one.add_new(0x00280120, "SS", -2000)
        one.add_new(0x00280121, "SS", -1990)
    save_all(made, tmp_path)
    found, _ = one_volume(tmp_path)
    least = stored[stored > -1990].min() - 1000
    assert found.min() == least
    assert np.count_nonzero(found == least) >= 6


def test_frames_of_one_file_go_where_they_say_each_with_its_own_scale(tmp_path: Path) -> None:
    stored = values((4, 5, 6))
    save(enhanced(stored, order=[2, 0, 3, 1]), tmp_path / "multi")
    found, affine = one_volume(tmp_path)
    for index in range(4):
        np.testing.assert_allclose(found[::-1, ::-1, index].T, stored[index] * (index + 1) - index)
    np.testing.assert_allclose(np.diag(affine), [1.5, 2.0, 3.0, 1.0])
    assert affine[2, 3] == 30.0


def test_persons_are_patients_with_their_issuer_and_keep_their_studies(tmp_path: Path) -> None:
    labelled(tmp_path, ("1",))
    for issuer, series in (("A", "s1"), ("B", "s2"), ("A", "s3")):
        save_all(slices(values(), patient="1", series=series, IssuerOfPatientID=issuer), tmp_path / series)
    cases = source(tmp_path).cases(None, 0)
    assert sorted(cases.patients) == ["1@a", "1@a", "1@b"]
    save_all(slices(values(), patient="1", series="s4"), tmp_path / "s4")
    cases = source(tmp_path).cases(None, 0)
    assert len(cases) == 3 and "one person or two" in cases.quarantined[0].reason


@pytest.mark.parametrize("patient", ["", "ANONYMOUS"])
def test_who_is_nobody_is_put_aside_unless_a_table_names_the_person(patient: str, tmp_path: Path) -> None:
    made = slices(values(), patient=patient)
    save_all([*made, *slices(values(), patient="P2", series="s2")], tmp_path)
    assert any("PatientID" in reason for reason in reasons(tmp_path).values())
    uids = [made[0].SeriesInstanceUID]
    (tmp_path / "table.csv").write_text(f"SeriesInstanceUID,person,label\n{uids[0]},Ada,b\n")
    cases = source(tmp_path).cases(None, 0)
    assert (cases.patients.tolist(), cases.targets.tolist()) == (["ada"], [1])


@pytest.mark.parametrize("site", ["folder", "InstitutionName", "", "clinic"])
def test_hospitals_are_folders_institutions_or_a_column(site: str, tmp_path: Path) -> None:
    labelled(tmp_path)
    column = site if site == "clinic" else "site"
    (tmp_path / "table.csv").write_text(f"PatientID,label,{column}\nP1,a,Köln\nP2,b,Bonn\n")
    for patient, name in (("P1", "Ko\u0308ln"), ("P2", " Bonn ")):
        save_all(slices(values(), patient=patient, InstitutionName=name.strip()), tmp_path / name.strip())
    made = source(tmp_path, site=site)
    assert made.has_sites and made.sites() == ("Bonn", "Köln")
    assert [made.cases(name, 0).patients.tolist() for name in made.sites()] == [["p2"], ["p1"]]


def test_what_is_asked_for_by_modality_and_description_is_taken(tmp_path: Path) -> None:
    for modality, series in (("CT", "thin"), ("MR", "t1"), ("MR", "t2")):
        save_all(slices(values(), modality=modality, series=series), tmp_path / series)
    assert len(source(tmp_path).cases(None, 0)) == 3
    assert len(source(tmp_path, modality="mr").cases(None, 0)) == 2
    assert len(source(tmp_path, modality="MR", series="*T1").cases(None, 0)) == 1
    with pytest.raises(SourceError, match=r"There are: .*'description of t2'"):
        source(tmp_path, series="flair").cases(None, 0)


def test_echoes_and_phases_at_the_same_places_are_cases_of_their_own(tmp_path: Path) -> None:
    for index, echo in enumerate((2.5, 10.0)):
        made = slices(values(seed=index), modality="MR", EchoTime=echo, AcquisitionNumber=1)
        for one in made:
            one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"{one.SOPInstanceUID[:50]}.{index}"
        save_all(made, tmp_path / str(index))
    cases = source(tmp_path).cases(None, 0)
    found = {each.tobytes() for each in cases.inputs}
    assert found == {
        values(seed=index).transpose(2, 1, 0)[::-1, ::-1][None].astype(np.float32).tobytes() for index in (0, 1)
    }


def test_a_tilted_gantry_is_put_aside_or_laid_into_a_box(tmp_path: Path) -> None:
    stored = np.full((4, 6, 5), -50, np.int16)
    stored[:, 2, 3] = 100 + np.arange(4)
    save_all(slices(stored, (0, 0, 0), AXIAL, (2.0, 2.0), 3.0, drift=(0.0, 2.0, 0.0)), tmp_path)
    (reason,) = reasons(tmp_path).values()
    assert "6 mm" in reason and "33.7 degrees" in reason and 'tilt = "resample"' in reason
    found, affine = one_volume(tmp_path, tilt="resample")
    assert found.shape == (5, 9, 4)
    for index in range(4):
        (place,) = np.argwhere(found == 100 + index)
        np.testing.assert_allclose(affine @ [*place, 1], [-6, -(4 + 2 * index), 3 * index, 1], atol=1e-9)
    np.testing.assert_allclose(np.diag(affine), [2, 2, 3, 1])


def test_real_series_are_read_as_a_second_library_reads_them(shared_data: Path, tmp_path: Path) -> None:
    import pydicom

    folder = shared_data / "dicom-hippocrop" / "Study1"
    paths = sorted(folder.rglob("*.dcm"))
    for index, path in enumerate(paths):
        (tmp_path / f"{(index * 7) % 40}-{index}").write_bytes(path.read_bytes())
    labelled(tmp_path, ("PGBM-002",))
    found, affine = one_volume(tmp_path)
    assert found.shape == (35, 51, 32)
    check_against_highdicom([pydicom.dcmread(path) for path in paths], found, affine)
    np.testing.assert_allclose(affine[:3, 3], [-34, -50, 1])


@pytest.mark.parametrize(
    "options",
    [
        {"labels": "sog"},
        {"labels": "{patient}/x"},
        {"labels": "../{patient}.nii"},
        {"labels": "{patent}.nii.gz"},
        {"labels": "table"},
        {"site": "clinic"},
        {"segments": {"1": "tumor"}},
        {"least_fraction": 0.0},
        {"overlap": "first"},
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    from common.study.catalogue import SOURCES
    from common.study.options import Entry

    with pytest.raises(StudyError, match=next(iter(options))):
        SOURCES.build(Entry("dicom", {"classes": ["background", "tumour"], **options}))


def test_a_lone_image_needs_tags_that_it_lacks(tmp_path: Path) -> None:
    save(image(values()[0]), tmp_path / "a.dcm")
    assert "ImagePositionPatient" in next(iter(reasons(tmp_path).values()))


def test_a_hospitals_files_are_listed_without_opening_one_and_its_parts_are_its_cases(tmp_path: Path) -> None:
    labelled(tmp_path)
    for patient, place in (("P1", "Bonn"), ("P2", "Bonn"), ("P3", "Trier")):
        save_all(slices(values(), patient=patient), tmp_path / place / patient)
    made = source(tmp_path, site="folder")
    bonn = sorted(path for path in (tmp_path / "Bonn").rglob("*") if path.is_file())
    assert made.files("Bonn") == tuple(sorted([*bonn, tmp_path / "table.csv"]))
    assert len(made.files(None)) == 13
    parts = [one for one in made.parts("Bonn", 0) if isinstance(one, Cases)]
    assert [one.patients.tolist() for one in parts] == [["p1"], ["p2"]]
    assert {
        site: [scan.person for scan in scans if isinstance(scan, Scan)] for site, scans in made.scans().items()
    } == {
        "Bonn": ["p1", "p2"],
        "Trier": ["p3"],
    }
    (tmp_path / "Bonn" / "P1" / "IM000").write_bytes(b"")
    assert made.files("Bonn") == tuple(sorted([*bonn, tmp_path / "table.csv"]))


def test_a_series_in_several_frames_of_reference_has_no_place(tmp_path: Path) -> None:
    made = slices(values())
    made[2].FrameOfReferenceUID = "1.2.3"
    save_all(made, tmp_path)
    assert "several frames of reference" in next(iter(reasons(tmp_path).values()))
