"""Whose consent covers a study: cells as hospitals write them, and every source that has a table of persons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.consent import Called, consent_column, consenting, fault_of
from client.hospital import open_hospital
from client.participants import taking_part
from client.source import Source
from common.data.cases import Cases
from common.errors import SourceError, StudyError, UnknownNameError
from common.study.catalogue import SOURCES
from common.study.options import Entry
from common.study.study import parse
from tests.client.dicom_files import save_all, slices
from tests.client.dicom_files import values as stored_values

DIGEST = "0123456789abcdef" * 4
HEART = Called(frozenset(["heart risk in europe", "heart"]), DIGEST)
COVERED = ["all", "ALL", " All ", "yes", "heart", "Heart  Risk in Europe", "diabetes; heart", "diabetes; all", "oui"]
COVERED += [DIGEST, DIGEST[:12], f"{DIGEST[:16]}; diabetes"]
NOT_COVERED = ["", "none", "no", "No", "n/a", "?", "diabetes", "diabetes; lung", "hearts", "all; not heart", "all?"]
NOT_COVERED += [
    "all except heart",
    "1",
    "0",
    "1.0",
    "2024-01-01",
    "heart; none",
    "heart; no",
    "pending",
    "heart, lung",
]
NOT_COVERED += [
    "heart, lung",
    "not heart",
    "all; diabetes withdrawn",
    "-",
    "nein",
    DIGEST[:11],
    "all; -heart",
    ";",
    "yes; lung",
]


@pytest.mark.parametrize("cell", COVERED)
def test_what_covers_the_study(cell: str) -> None:
    assert fault_of(cell, HEART) is None


@pytest.mark.parametrize("cell", NOT_COVERED)
def test_unclear_consent_and_consent_to_others_is_none(cell: str) -> None:
    assert fault_of(cell, HEART)


@given(st.text(max_size=40))
def test_whatever_a_cell_holds_it_is_answered_in_one_line(cell: str) -> None:
    fault = fault_of(cell, HEART)
    assert fault is None or (fault and "\n" not in fault)


def cases(persons: list[str], said: list[str]) -> Cases:
    inputs = np.arange(len(persons), dtype=np.float32)[:, None]
    return Cases.of(inputs, np.zeros(len(persons), np.int64), persons, ("a", "b"), consent=np.array(said))


def test_a_person_takes_part_where_every_row_of_theirs_says_so_and_others_are_named() -> None:
    found = consenting(cases(["ann", "bob", "ann", "cem"], ["all", "all", "none", "heart"]), HEART)
    assert found.patients.tolist() == ["bob", "cem"]
    assert [(one.name, one.reason) for one in found.quarantined] == [("ann", "consent to no study: 'none'")]
    assert "consent" not in found.columns


def test_where_nobody_consents_it_is_said_with_reasons() -> None:
    with pytest.raises(SourceError, match=r"nobody's consent covers this study .*ann: its consent names other"):
        consenting(cases(["ann"], ["lung"]), HEART)


def test_a_column_that_is_all_but_called_consent_is_asked_about() -> None:
    assert consent_column(["a", "Consent"], "", "t.csv") == "Consent"
    assert consent_column(["a", "b"], "", "t.csv") == ""
    assert consent_column(["a", "studies"], "studies", "t.csv") == "studies"
    for columns in (["consent_given"], ["Einwilligung"], ["opt-out"], ["consent", "Consent"]):
        with pytest.raises(SourceError, match=r"source\.consent_column"):
            consent_column(columns, "", "t.csv")
    with pytest.raises(UnknownNameError, match="did you mean 'studies'"):
        consent_column(["studies"], "studie", "t.csv")


def test_a_study_is_called_by_its_title_purposes_and_digest() -> None:
    study = parse(STUDY.format(folder="."))
    called = Called.of(study, DIGEST)
    assert called.words == {"heart risk", "heart", "stroke"}
    with pytest.raises(StudyError, match="purpose without a word"):
        parse(STUDY.format(folder="."), ['purposes=[" "]'])


STUDY = """
title = "Heart  risk"
purposes = ["heart", "Stroke"]
rounds = 1
engine = "inline"
source = {{ name = "table", folder = "{folder}", label = "y", classes = ["0", "1"], decimal = "." }}
task = {{ name = "classification", network = "logistic" }}
strategy = "fedavg"
split = {{ validation = 0.0, test = 0.0 }}
"""


def test_studies_of_other_names_have_other_persons_of_one_table(tmp_path: Path) -> None:
    rows = ["person,x,y,consent", "ann,1,0,heart", "bob,2,1,lung", "cem,3,0,all", "cem,4,1,", "dan,5,1,yes"]
    (tmp_path / "north.csv").write_text("\n".join(rows) + "\n")
    text = STUDY.format(folder=tmp_path)
    for overrides, expected in (([], ["ann", "dan"]), (['purposes=["lung"]', "title=Lungs"], ["bob", "dan"])):
        hospital = open_hospital(parse(text, overrides).json, 0)
        assert sorted(hospital.train.patients) == expected
        assert "consent" not in hospital.train.columns
        assert [one.name for one in hospital.train.quarantined] == sorted({"ann", "bob", "cem"} - set(expected))


def test_a_row_that_cannot_be_used_still_says_that_its_person_does_not_consent(tmp_path: Path) -> None:
    (tmp_path / "north.csv").write_text("person,x,y,consent\nann,1,0,all\nann,?,0,none\nbob,1,1,all\n")
    assert set(open_hospital(parse(STUDY.format(folder=tmp_path)).json, 0).train.patients) == {"bob"}


def test_a_hospitals_own_scaling_is_of_those_who_take_part_alone(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("person,x,y,consent\nann,1,0,all\nbob,3,1,all\ncem,1000,1,none\n")
    own = SOURCES.build(Entry("table", {"folder": str(tmp_path), "label": "y", "scaling": "hospital"}))
    assert taking_part(own, own.cases("a", 0), frozenset(), HEART).inputs.tolist() == [[-1], [1]]
    every = taking_part(own, own.cases("a", 0), frozenset(["cem"]), None)
    assert every.inputs.tolist() == [[-1], [1]]


DAN = {"images": set[str](), "nifti": set[str](), "dicom": set[str](), "npz": set[str](), "bids": {"dan"}}
"""Whom the table does not name."""


def images(folder: Path) -> Source:
    from PIL import Image

    for name in ("ann_1", "ann_2", "bob_1", "cem_1"):
        Image.fromarray(np.full((4, 4), 9, np.uint8)).save(folder / f"{name}.png")
    rows = ["path,label,person,consent", "ann_1.png,x,ann,all", "ann_2.png,y,ann,", "bob_1.png,x,bob,heart"]
    (folder / "t.csv").write_text("\n".join([*rows, "cem_1.png,y,cem,no"]) + "\n")
    options = {"folder": str(folder), "table": "t.csv", "label": "label", "classes": ("x", "y"), "size": 4}
    return SOURCES.build(Entry("images", options))


def volumes(folder: Path, name: str) -> Any:
    import nibabel

    def save(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(np.random.default_rng(0).random((4, 4, 4), np.float32), np.eye(4)), path)

    options: dict[str, Any] = {"folder": str(folder), "labels": "", "size": 4, "slices_per_patient": 1}
    if name == "nifti":
        for scan in ("a", "b", "c", "d"):
            save(folder / "images" / f"{scan}.nii.gz")
        rows = ["file,person,site,consent", "a,ann,n,all", "b,ann,n,none", "c,bob,n,heart", "d,cem,n,"]
        (folder / "t.csv").write_text("\n".join(rows) + "\n")
        return SOURCES.build(Entry("nifti", {**options, "table": "t.csv"}))
    for person in ("ann", "bob", "cem", "dan"):
        save(folder / f"sub-{person}" / "anat" / f"sub-{person}_T1w.nii.gz")
    table = "participant_id\tconsent\nsub-ann\tn/a\nsub-bob\tall\nsub-cem\tlung\n"
    (folder / "participants.tsv").write_text(table)
    return SOURCES.build(Entry("bids", options))


def dicom(folder: Path) -> Source:
    for patient in ("ann", "bob", "cem"):
        save_all(slices(stored_values((3, 4, 4)), patient=patient, series=patient), folder / patient)
    (folder / "t.csv").write_text("PatientID,label,consent\nann,a,\nbob,b,all; diabetes\ncem,a,lung\n")
    options = {"folder": str(folder), "table": "t.csv", "labels": "table", "classes": ("a", "b"), "size": 4}
    return SOURCES.build(Entry("dicom", options))


def arrays(folder: Path) -> Source:
    said = np.array(["no", "yes", "", "heart"])
    own = {"x": np.eye(4), "y": np.arange(4) % 2, "person": np.array(["ann", "bob", "cem", "bob"]), "consent": said}
    np.savez(folder / "a.npz", **own)
    return SOURCES.build(Entry("npz", {"folder": str(folder), "classes": ("a", "b")}))


@pytest.mark.parametrize("name", ["images", "nifti", "bids", "dicom", "npz"])
def test_every_table_beside_images_can_say_who_consents(name: str, tmp_path: Path) -> None:
    makers: dict[str, Callable[[Path], Source]] = {"images": images, "dicom": dicom, "npz": arrays}
    source = makers[name](tmp_path) if name in makers else volumes(tmp_path, name)
    site = source.sites()[0] if source.has_sites else None
    found = taking_part(source, source.cases(site, 0), frozenset(), HEART)
    assert set(found.patients) == {"bob"}
    assert {one.name for one in found.quarantined if "consent" in one.reason} == ({"ann", "cem"} | DAN[name])
