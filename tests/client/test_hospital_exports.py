"""What hospitals really export, over all sources: each name in one form, each file told of, each person one."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unicodedata import normalize

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from client.hospital import site_names
from client.sources._table_files import table_files
from client.sources._table_numbers import found_convention
from client.sources._table_text import decoded
from client.splitting import held_by_person
from common.data.cases import Cases
from common.errors import SourceError
from common.study.catalogue import SOURCES
from common.study.options import Entry
from common.study.study import parse
from tests.client.dicom_files import save as save_dicom
from tests.client.dicom_files import save_all, segmentation, slices
from tests.client.dicom_files import values as stored_values

STUDY = """
title = "Exports"
rounds = 1
strategy = "fedavg"
source = {{ name = "{name}", folder = "{folder}"{options} }}
task = {{ name = "classification", network = "logistic" }}
"""


def cases(name: str, folder: Path, hospital: str | None = None, **options: Any) -> Cases:
    found: Cases = SOURCES.build(Entry(name, {"folder": str(folder), **options})).cases(hospital, 0)
    return found


def reasons(found: Cases) -> dict[str, str]:
    return {one.name: one.reason for one in found.quarantined}


def volume(path: Path, kind: type = np.float32) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.arange(60).reshape(4, 5, 3)
    nib.save(nib.Nifti1Image((values % 2 if kind is np.uint8 else values).astype(kind), np.eye(4)), path)


def pairs(folder: Path, *names: str) -> None:
    for name in names:
        volume(folder / "images" / f"{name}.nii.gz")
        volume(folder / "labels" / f"{name}.nii.gz", np.uint8)


def nifti(folder: Path, site: str | None = None, **options: Any) -> Cases:
    return cases("nifti", folder, site, classes=["background", "x"], size=8, **options)


def picture(path: Path, shade: int = 9) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4), shade, np.uint8)).save(path)


# numbers


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (("1 234,5", "2,5"), (1234.5, 2.5)),
        (("1\u202f234,5", "-2\u00a0500,25"), (1234.5, -2500.25)),
        (("1'234.5", "2\u2019500.25"), (1234.5, 2500.25)),
        (("1,2E+05", "2,5E-3"), (120000.0, 0.0025)),
        (("120 080", "1,5"), (None, 1.5)),
    ],
)
def test_numbers_of_more_countries_are_read_and_two_numbers_in_a_cell_are_none(
    written: tuple[str, ...], meant: tuple[float | None, ...]
) -> None:
    found = found_convention([(line, "x", text) for line, text in enumerate(written)], ";", "a.csv")
    assert tuple(map(found.number, written)) == meant


@pytest.mark.parametrize("day", ["31.01.2020", "31. Jan 2020", "1. Mai", "20200131", "20200131.0"])
def test_a_day_is_no_number_also_in_eight_digits_which_float32_does_not_hold(day: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"x;day;y\n1,5;{day};0\n2,5;5;1\n")
    found = cases("table", tmp_path, "a", label="y", target="number")
    assert "a date or a time of day" in reasons(found)["a.csv line 2"]


def test_a_misread_encoding_shows_within_words() -> None:
    assert decoded("größe é²".encode("cp1252"), "a.csv") == "größe é²"
    for other in ("mac_roman", "cp850"):
        with pytest.raises(SourceError, match="doubtful which encoding"):
            decoded("größe".encode(other), "a.csv")


# names that are one, and names that may be


def test_classes_that_programs_write_in_two_ways_are_one_and_in_capitals_are_asked_about(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,0.0\n2,1.0\n")
    (tmp_path / "b.csv").write_text("x,y\n1,0\n2,1\n")
    assert cases("table", tmp_path, "a", label="y").classes == ("0", "1")
    (tmp_path / "b.csv").write_text("x,y\n1,Ja\n2,ja\n")
    with pytest.raises(SourceError, match=r"labels in column 'y' are called 'Ja' and 'ja'.*source.classes"):
        cases("table", tmp_path, "a", label="y")


def test_classes_of_images_and_arrays_in_capitals_are_asked_about_and_taken_where_they_are_named(
    tmp_path: Path,
) -> None:
    for label in ("Ja", "ja", "nein"):
        picture(tmp_path / label / f"{label}.png")
    with pytest.raises(SourceError, match="classes are called 'Ja' and 'ja'"):
        cases("images", tmp_path, size=4)
    assert cases("images", tmp_path, size=4, classes=["ja", "nein"]).targets.tolist() == [0, 0, 1]
    np.savez(tmp_path / "a.npz", x=np.eye(3), y=np.array(["Ja", "ja", "nein"]))
    with pytest.raises(SourceError, match="classes are called 'Ja' and 'ja'"):
        cases("npz", tmp_path, "a")


@pytest.mark.parametrize("name", ["table", "npz", "images", "nifti"])
def test_hospitals_that_differ_in_capitals_alone_are_asked_about_by_any_source(name: str, tmp_path: Path) -> None:
    options = ""
    for site in ("Köln", "köln"):
        (tmp_path / f"{site}.csv").write_text("x,y\n1,0\n2,1\n")
        np.savez(tmp_path / f"{site}.npz", x=np.eye(2), y=np.arange(2))
        picture(tmp_path / site / "a" / "1.png")
    if name == "images":
        options = ', images = "{site}/{class}/*.png"'
    if name == "nifti":
        pairs(tmp_path, "p1", "p2")
        (tmp_path / "sites.tsv").write_text("patient\tsite\np1\tKöln\np2\tköln\n")
        options = ', table = "sites.tsv"'
    study = parse(STUDY.format(name=name, folder=tmp_path, options=options))
    with pytest.raises(SourceError, match="hospitals are called 'Köln' and 'köln': one or two"):
        site_names(study)


def test_names_as_a_mac_keeps_them_are_those_of_the_table(tmp_path: Path) -> None:
    mac = normalize("NFD", "Jürgen")
    volume(tmp_path / "images" / f"{mac}.nii.gz")
    volume(tmp_path / "labels" / "Jürgen_seg.nii.gz", np.uint8)
    (tmp_path / "sites.csv").write_text("patient,site\nJürgen,A\n")
    found = nifti(tmp_path, site="A", table="sites.csv")
    assert (set(found.patients), found.quarantined) == ({"Jürgen"}, ())
    picture(tmp_path / f"{mac}.png")
    picture(tmp_path / "b.png")
    (tmp_path / "t.csv").write_text("path;label\nJürgen.png;0\nb.png;1\n")
    assert cases("images", tmp_path, table="t.csv", label="label", size=4).quarantined == ()


# persons


def test_a_column_or_array_of_persons_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("PatientID,x,y\n1,1,0\n1,2,1\n")
    with pytest.raises(SourceError, match=r"'PatientID' of a.csv seems to name persons.*source.person = 'PatientID'"):
        cases("table", tmp_path, "a", label="y", features=["x"])
    for options in ({"person": "PatientID"}, {"ignore": ["PatientID"]}):
        assert len(cases("table", tmp_path, "a", label="y", features=["x"], **options)) == 2
    np.savez(tmp_path / "a.npz", x=np.eye(2), y=np.arange(2), subject_id=np.array([1, 1]))
    with pytest.raises(SourceError, match=r"array 'subject_id' of a.npz seems to name persons"):
        cases("npz", tmp_path, "a")
    assert set(cases("npz", tmp_path, "a", person="subject_id").patients) == {"1"}


@pytest.mark.parametrize("nobody", ["n/a", "NA", "-9", "?"])
def test_whoever_was_not_written_down_is_nobody_and_not_one_person(nobody: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"person,x,y\n{nobody},1,0\n{nobody},2,1\np,3,1\nq,3,0\n")
    assert list(reasons(cases("table", tmp_path, "a", label="y"))) == ["a.csv line 2", "a.csv line 3"]
    for name in "abc":
        picture(tmp_path / f"{name}.png")
    (tmp_path / "t.csv").write_text(f"path,label,person,site\na.png,0,{nobody},A\nb.png,1,p,A\nc.png,1,q,{nobody}\n")
    found = cases("images", tmp_path, "A", table="t.csv", label="label", classes=["0", "1"], site="site", size=4)
    assert set(reasons(found)) == {"a.png", "c.png"}
    np.savez(tmp_path / "a.npz", x=np.eye(2), y=np.arange(2), person=np.array([nobody, "p"]))
    with pytest.raises(SourceError, match=r"case 1 of a.npz names no person"):
        cases("npz", tmp_path, "a")


def test_names_of_files_that_differ_in_zeros_alone_are_asked_about(tmp_path: Path) -> None:
    pairs(tmp_path, "sub-1", "sub-01")
    with pytest.raises(SourceError, match="'01' and '1': one person or two"):
        nifti(tmp_path)


def test_a_folder_and_a_name_that_say_two_subjects_are_of_neither(tmp_path: Path) -> None:
    for subject, name in (("04", "sub-05_T1w"), ("06", "sub-06_T1w")):
        volume(tmp_path / f"sub-{subject}" / "anat" / f"{name}.nii.gz")
    found = cases("bids", tmp_path, labels="", size=8)
    assert set(found.patients) == {"06"}
    assert reasons(found)["sub-04/anat/sub-05_T1w"] == "it lies in sub-04 and is called sub-05: of which is it?"


# nothing is lost in silence


def test_volumes_that_lie_or_end_otherwise_are_told(tmp_path: Path) -> None:
    pairs(tmp_path, "a", "p1/scan")
    volume(tmp_path / "images" / "a.nii")
    (tmp_path / "images" / "B.NII").write_bytes(b"")
    (tmp_path / "images" / "c.nrrd").write_bytes(b"")
    (tmp_path / "images" / ".hidden.mha").write_bytes(b"")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "images" / "link").symlink_to(tmp_path / "elsewhere")
    found = reasons(nifti(tmp_path))
    assert {name: reason.split(":")[0] for name, reason in found.items()} == {
        "images/a.nii": "is there twice, as .nii and as .nii.gz",
        "images/B.NII": "ends in capitals",
        "images/c.nrrd": "is no NIfTI file",
        "images/link": "is a link to a folder, which is not followed",
        "images/p1/scan.nii.gz": "lies in a folder of its own below images",
        "labels/p1/scan.nii.gz": "lies in a folder of its own below labels",
    }


def test_volumes_outside_of_subjects_are_told_and_what_bids_keeps_for_itself_is_not(tmp_path: Path) -> None:
    volume(tmp_path / "sub-1" / "anat" / "sub-1_T1w.nii.gz")
    volume(tmp_path / "ses-1" / "sub-2" / "anat" / "sub-2_T1w.nii.gz")
    volume(tmp_path / "sourcedata" / "x.nii.gz")
    (tmp_path / "sub-1" / "anat" / "._sub-1_T1w.nii.gz").write_bytes(b"")
    found = cases("bids", tmp_path, labels="", size=8)
    assert list(reasons(found)) == ["ses-1/sub-2/anat/sub-2_T1w.nii.gz"]


def test_a_workbook_beside_tables_is_no_hospital_that_vanishes(tmp_path: Path) -> None:
    for name in ("a.csv", ".b.xlsx", "~$b.xlsx"):
        (tmp_path / name).write_text("x,y\n1,0\n")
    assert list(table_files(tmp_path)) == ["a"]
    (tmp_path / "Bonn.XLSX").write_bytes(b"PK")
    with pytest.raises(SourceError, match=r"Bonn\.XLSX, which is not read: save the table as CSV"):
        table_files(tmp_path)


def test_a_linked_folder_of_series_is_told(tmp_path: Path) -> None:
    made = slices(stored_values((3, 6, 7)))
    save_all(made, tmp_path / "data" / "P1")
    save_dicom(segmentation(made, np.ones((3, 6, 7, 1), np.uint8), ("structure",)), tmp_path / "data" / "P1" / "seg")
    save_all(slices(stored_values((3, 6, 7)), patient="P2"), tmp_path / "P2")
    (tmp_path / "data" / "P2").symlink_to(tmp_path / "P2")
    found = cases("dicom", tmp_path / "data", size=8)
    assert "links in such a folder are not followed" in reasons(found)["P2"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_a_table_of_images_is_read_in_the_encodings_of_a_table(encoding: str, tmp_path: Path) -> None:
    for name in "ab":
        picture(tmp_path / f"{name}.png")
    text = "path;label;Klinik\r\na.png;ja;Köln\r\nb.png;nein;Köln\r\n"
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    found = cases("images", tmp_path, "Köln", table="t.csv", label="label", site="Klinik", size=4)
    assert found.classes == ("ja", "nein")
    (tmp_path / "t.csv").write_bytes(text.replace("nein", "nein\0").encode())
    with pytest.raises(SourceError, match=r"line 3 of t.csv holds a NUL"):
        cases("images", tmp_path, "Köln", table="t.csv", label="label", site="Klinik", size=4)


# what a run that goes on is held to


def held(inputs: np.ndarray, targets: np.ndarray, order: list[int], consent: str = "") -> str:
    says = np.array([consent] * 4)
    made = Cases.of(inputs.astype(np.float32), targets, list("aabc"), ("0", "1"), consent=says)
    return str(sorted(held_by_person(made.take(np.array(order))).items()))


def test_a_relabelled_mask_and_an_edited_row_are_other_data_and_another_order_is_not() -> None:
    inputs, masks = np.arange(4 * 9).reshape(4, 1, 3, 3), np.zeros((4, 3, 3), np.uint8)
    before = held(inputs, masks, [0, 1, 2, 3])
    assert held(inputs, masks, [3, 1, 0, 2], consent="all") == before
    masks[2, 1, 1] = 1
    relabelled = held(inputs, masks, [0, 1, 2, 3])
    inputs[3, 0, 2, 2] += 1
    assert len({before, relabelled, held(inputs, masks, [0, 1, 2, 3])}) == 3


def test_of_large_inputs_the_middle_is_compared() -> None:
    inputs, targets = np.zeros((4, 1, 70, 70)), np.zeros(4, np.int64)
    before = held(inputs, targets, [0, 1, 2, 3])
    inputs[0, 0, 0, 0] = 1
    assert held(inputs, targets, [0, 1, 2, 3]) == before
    inputs[0, 0, 35, 35] = 1
    assert held(inputs, targets, [0, 1, 2, 3]) != before


@pytest.mark.parametrize(("one", "other"), [("p7_left", "p7_right"), ("p7-OD", "p7-OS"), ("p7_t0", "p7_t1")])
def test_two_images_of_one_person_are_asked_about_where_nothing_says_whose_they_are(
    one: str, other: str, tmp_path: Path
) -> None:
    for name, label in ((one, "a"), (other, "b"), ("p8_left", "b"), ("scan_12", "b"), ("scan_13", "b")):
        picture(tmp_path / label / f"{name}.png")
    with pytest.raises(SourceError, match=f"{one} and {other} look like two of one person"):
        cases("images", tmp_path, size=4)
    said = cases("images", tmp_path, size=4, images="{class}/{person}.png")
    assert len(set(said.patients)) == 5
    pairs(tmp_path, one, other)
    with pytest.raises(SourceError, match=f"{one} and {other} look like two of one person"):
        nifti(tmp_path)
    places = {kind: f"{kind}/{{person}}.nii.gz" for kind in ("images", "labels")}
    assert len(set(nifti(tmp_path, **places).patients)) == 2
    (tmp_path / "t.csv").write_text(f"file,person\n{one},7\n{other},7\n")
    assert set(nifti(tmp_path, table="t.csv", site_column="").patients) == {"7"}
