"""One person, several files: who is told to be one, and what keeps them together."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.sources._persons import person_column, person_named, person_of_file
from client.sources._site_table import listed_files
from client.sources.lgg import Lgg
from client.sources.nifti import Nifti
from client.sources.nifti_pairs import NiftiPairs
from client.splitting import split
from common.data.cases import Cases
from common.errors import SourceError
from common.study.split_settings import Split


def table(folder: Path, text: str) -> Path:
    path = folder / "sites.csv"
    path.write_text(text, "utf-8")
    return path


def volumes(folder: Path, *names: str) -> None:
    rng = np.random.default_rng(0)
    for name in names:
        for kind, values in (("images", rng.normal(size=(6, 6, 6))), ("labels", np.ones((6, 6, 6)))):
            path = folder / kind / f"{name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(values.astype(np.float32), np.eye(4)), path)


def a_nifti(folder: Path, **options: str) -> Nifti:
    return Nifti(str(folder), size=6, slices_per_patient=1, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "written",
    ["sub-04", "04", " 04 ", "SUB-04", "Sub-04", "sub- 04", "\uff10\uff14", "\u00a004"],
)
def test_one_person_may_be_written_in_many_ways(written: str) -> None:
    assert person_named(written) == "04"


@pytest.mark.parametrize(
    ("written", "other"),
    [
        ("Zo\u00eb  M\u00fcller", "zoe\u0308 mu\u0308ller"),
        ("Stra\u00dfe", "STRASSE"),
        ("A\tB", "a b"),
        ("\ufb01nn", "Finn"),
    ],
)
def test_case_white_space_and_forms_of_unicode_do_not_matter(written: str, other: str) -> None:
    assert person_named(written) == person_named(other)


@pytest.mark.parametrize(("written", "other"), [("04", "4"), ("a-b", "a b"), ("p1", "p2"), ("sub04", "04")])
def test_what_differs_in_anything_else_is_two_persons(written: str, other: str) -> None:
    assert person_named(written) != person_named(other)


@given(st.text())
def test_a_name_written_as_it_is_kept_is_the_same_name(text: str) -> None:
    once = person_named(text)
    assert person_named(unicodedata.normalize("NFD", once)) == person_named(once)


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("sub-04_ses-1", "04"),
        ("sub-04", "04"),
        ("sub-04/ses-2/sub-04_ses-2_T1w", "04"),
        ("sub-CTRL7_run-2", "ctrl7"),
        ("hippocampus_001", "hippocampus_001"),
        ("TCGA_CS_4941", "TCGA_CS_4941"),
        ("sub-", "sub-"),
        ("subject-4", "subject-4"),
        ("sub-04.old", "sub-04.old"),
    ],
)
def test_the_person_of_a_file_is_bids_subject_or_the_file(name: str, person: str) -> None:
    assert person_of_file(name) == person


@pytest.mark.parametrize("column", ["person", "subject", "participant_id"])
def test_a_column_says_whose_a_file_is(tmp_path: Path, column: str) -> None:
    path = table(tmp_path, f"patient,site,{column}\np1,a,Anna\np2,a,ANNA \np3,b,anna\np4,b,Bert\n")
    found = listed_files(path, "site", "")
    assert {name: one.person for name, one in found.items()} == {
        "p1": "anna",
        "p2": "anna",
        "p3": "anna",
        "p4": "bert",
    }
    assert {name: one.site for name, one in found.items()} == {"p1": "a", "p2": "a", "p3": "b", "p4": "b"}


def test_where_file_names_the_file_patient_names_the_person(tmp_path: Path) -> None:
    found = listed_files(table(tmp_path, "file,site,patient\ns1,a,7\ns2,a,7\n"), "site", "")
    assert [(name, one.person) for name, one in found.items()] == [("s1", "7"), ("s2", "7")]


def test_the_column_goes_before_the_bids_name(tmp_path: Path) -> None:
    found = listed_files(table(tmp_path, "patient,site,person\nsub-01_ses-1,a,x\nsub-02_ses-1,a,x\n"), "site", "")
    assert {one.person for one in found.values()} == {"x"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("patient,site,persn\np1,a,x\n", "'persn'; did you mean 'person'"),
        ("patient,site,Person\np1,a,x\n", "did you mean 'person'"),
        ("patient,site,participant\np1,a,x\n", "did you mean 'participant_id'"),
        ("patient,site,Subject ID\np1,a,x\n", "did you mean 'subject'"),
        ("patient,site,person,subject\np1,a,x,y\n", "names persons in person and in subject"),
        ("patient,site,person\np1,a,x\np2,a,\n", "line 3 .* no person in column person"),
        ("patient,site,person\np1,a,x\np2,a, sub- \n", "line 3 .* no person"),
        ("patient,site,person\np1,a\n", "line 2 .* no person"),
        ("patient,site,person\np1,a,x\np1,a,y\n", "line 3 .* to a second person"),
        ("patient,site,person\np1,a,04\np2,a,4\n", "'04' and '4': one person or two"),
        ("patient,site\nsub-01/../../etc,a\n", "line 2 .* does not name"),
        ("patient,site\nother/p1,a\n", "line 2 .* does not name"),
        ("patient,site\n/sub-01,a\n", "line 2 .* does not name"),
    ],
)
def test_a_table_that_leaves_doubt_about_persons_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        listed_files(table(tmp_path, text), "site", "")


@pytest.mark.parametrize("column", ["version", "session", "slices", "pre_missing", "diagnosis", "age", "scanner"])
def test_other_columns_are_none_of_its_business(column: str) -> None:
    assert person_column([column], "patient", "sites.csv") is None


def test_two_sessions_of_one_person_are_one_patient(tmp_path: Path) -> None:
    volumes(tmp_path, "sub-04_ses-1", "sub-04_ses-2", "sub-05_ses-1", "plain")
    cases = a_nifti(tmp_path).cases(None, 0)
    assert cases.patients.tolist() == ["plain", "04", "04", "05"]


def test_bids_folders_are_found_with_or_without_a_table(tmp_path: Path) -> None:
    names = ["sub-04/ses-1/sub-04_ses-1_T1w", "sub-04/ses-2/sub-04_ses-2_T1w", "sub-05/sub-05_T1w", "p9"]
    volumes(tmp_path, *names)
    assert a_nifti(tmp_path).cases(None, 0).patients.tolist() == ["p9", "04", "04", "05"]
    table(tmp_path, "patient,site\n" + "".join(f"{name},a\n" for name in names))
    assert a_nifti(tmp_path, table="sites.csv").cases("a", 0).patients.tolist() == ["p9", "04", "04", "05"]
    table(tmp_path, "patient,site\nsub-04_ses-2_T1w,a\nsub-05_T1w,b\n")
    cases = a_nifti(tmp_path, table="sites.csv").cases("a", 0)
    assert cases.patients.tolist() == ["04"]
    assert {one.name: one.reason for one in cases.quarantined} == {
        "p9": "sites.csv does not name it",
        "sub-04/ses-1/sub-04_ses-1_T1w": "sites.csv does not name it",
    }


def test_a_last_part_that_two_files_share_names_neither(tmp_path: Path) -> None:
    volumes(tmp_path, "sub-04/ses-1/T1w", "sub-04/ses-2/T1w", "p1")
    table(tmp_path, "patient,site\nT1w,a\np1,a\n")
    cases = a_nifti(tmp_path, table="sites.csv").cases("a", 0)
    assert cases.patients.tolist() == ["p1"]
    assert {one.name: one.reason for one in cases.quarantined} == {
        "T1w": "sites.csv names it, and 2 files end so: write its folders too",
        "sub-04/ses-1/T1w": "sites.csv does not name it",
        "sub-04/ses-2/T1w": "sites.csv does not name it",
    }


def test_one_person_at_two_hospitals_has_one_name_and_two_need_two(tmp_path: Path) -> None:
    volumes(tmp_path, "x1", "x2")
    for persons, count in ((("04", "sub-04"), 1), (("north 04", "south 04"), 2)):
        table(tmp_path, f"patient,site,person\nx1,north,{persons[0]}\nx2,south,{persons[1]}\n")
        source = a_nifti(tmp_path, table="sites.csv")
        assert len({name for site in source.sites() for name in source.cases(site, 0).patients.tolist()}) == count


@given(st.integers(0, 99))
def test_independent_splits_place_a_person_alike_at_every_hospital(seed: int) -> None:
    shares = Split(0.3, 0.3, "independent")
    here, there = (
        {name: set(part.patients.tolist()) for name, part in split(cases_of(names), shares, seed).items()}
        for names in (["04", "05", "06", "07"], ["01", "04", "06", "11", "12"])
    )
    for one in ("04", "06"):
        assert [name for name, own in here.items() if one in own] == [
            name for name, own in there.items() if one in own
        ]


def cases_of(names: list[str]) -> Cases:
    return Cases.of(np.zeros((len(names), 1), np.float32), np.zeros(len(names), int), np.array(names), ("a", "b"))


def test_a_person_with_several_scans_is_in_one_group_of_pairs(tmp_path: Path) -> None:
    volumes(tmp_path, "sub-1_ses-1", "sub-1_ses-2", "sub-1_ses-3", "sub-2", "sub-3_ses-1", "sub-3_ses-2", "sub-4")
    cases = NiftiPairs(str(tmp_path), size=(6, 6, 6)).cases(None, 0)
    groups = [set(name.split("+")) for name in set(cases.patients.tolist())]
    assert sorted(person for group in groups for person in group) == ["1", "2", "3", "4"]
    assert [len(group) for group in groups] == [2, 2]
    scans = {"1": 3, "2": 1, "3": 2, "4": 1}
    assert len(cases) == sum(2 * max(scans[person] for person in group) for group in groups)


def test_two_scans_of_one_person_are_no_pair_of_persons(tmp_path: Path) -> None:
    volumes(tmp_path, "sub-1_ses-1", "sub-1_ses-2")
    with pytest.raises(SourceError, match="of one person of a hospital; two are needed"):
        NiftiPairs(str(tmp_path), size=(6, 6, 6)).cases(None, 0)


def test_the_glioma_table_may_name_persons(tmp_path: Path) -> None:
    (tmp_path / "patients_flair128").mkdir()
    mask = np.ones((1, 128, 128), np.bool_)
    for name in ("P1", "P2", "P3"):
        np.savez(tmp_path / f"patients_flair128/{name}.npz", flair=np.full((1, 128, 128), 7, np.uint8), mask=mask)
    (tmp_path / "patients.csv").write_text("patient,institution,person\nP1,A,x\nP2,A,X\nP3,A,y\n")
    assert Lgg(str(tmp_path)).cases("A", 0).patients.tolist() == ["x", "x", "y"]


def test_scans_of_unlike_spacing_keep_their_own(tmp_path: Path) -> None:
    volumes(tmp_path, "p1", "p2")
    for kind in ("images", "labels"):
        nib.save(
            nib.Nifti1Image(np.ones((6, 6, 6), np.float32), np.diag([2.0, 3.0, 1.0, 1])), tmp_path / kind / "p2.nii"
        )
        (tmp_path / kind / "p2.nii.gz").unlink()
    cases = a_nifti(tmp_path).cases(None, 0)
    assert cases.spacing_mm == ()
    assert cases.batch().spacings_mm == ((1.0, 1.0), (2.0, 3.0))
