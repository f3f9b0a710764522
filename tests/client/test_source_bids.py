"""The BIDS source: subjects, sessions, runs, derivatives and participants.tsv."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from client.sources._bids_files import BidsFile, Wanted, best
from client.sources.bids import Bids
from common.data.cases import Cases
from common.errors import SourceError, StudyError
from common.study.catalogue import SOURCES
from common.study.options import Entry

SHAPE = (4, 5, 6)


def write(folder: Path, name: str, value: float = 1.0, derivative: str = "") -> None:
    """A volume where BIDS has it: `name` as "sub-01_ses-1_T1w"."""
    parts = name.split("_")
    places = [part for part in parts if part.startswith(("sub-", "ses-"))]
    path = folder.joinpath(*(["derivatives", derivative] if derivative else []), *places, "anat", f"{name}.nii.gz")
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.full(SHAPE, value, np.float32), np.eye(4)), path)


def dataset(folder: Path, **options: Any) -> Bids:
    given = {"folder": str(folder), "dimensions": 3, "size": 0, "normalisation": "none", **options}
    source: Bids = SOURCES.build(Entry("bids", given))
    return source


def reasons(cases: Cases) -> dict[str, str]:
    return {one.name: one.reason for one in cases.quarantined}


def two_sessions(folder: Path) -> None:
    for subject in ("01", "02"):
        for session in ("1", "2"):
            write(folder, f"sub-{subject}_ses-{session}_T1w", 10 * int(subject) + int(session))
            write(folder, f"sub-{subject}_ses-{session}_dseg", 1, "manual")
        (folder / f"sub-{subject}" / f"sub-{subject}_sessions.tsv").write_text("session_id\tage\nses-1\t70\n")
    (folder / "dataset_description.json").write_text("{}")
    (folder / "participants.tsv").write_text("participant_id\tcentre\nsub-01\tnorth\nsub-02\tsouth\n")


def test_all_sessions_of_a_subject_are_one_person_and_labels_come_from_derivatives(tmp_path: Path) -> None:
    two_sessions(tmp_path)
    cases = dataset(tmp_path).cases(None, 0)
    assert cases.patients.tolist() == ["01", "01", "02", "02"]
    assert cases.inputs[:, 0, 0, 0, 0].tolist() == [11, 12, 21, 22]
    assert (cases.targets == 1).all() and cases.quarantined == ()


def test_a_column_of_the_participants_says_the_hospital(tmp_path: Path) -> None:
    two_sessions(tmp_path)
    source = dataset(tmp_path, site_column="centre")
    assert source.sites() == ("north", "south")
    assert source.cases("south", 0).patients.tolist() == ["02", "02"]
    assert dataset(tmp_path).has_sites is False


def test_sessions_may_be_chosen(tmp_path: Path) -> None:
    two_sessions(tmp_path)
    assert dataset(tmp_path, sessions=["2"]).cases(None, 0).inputs[:, 0, 0, 0, 0].tolist() == [12, 22]


def test_channels_are_found_by_session_and_run_and_words_tell_files_apart(tmp_path: Path) -> None:
    for run in ("1", "2"):
        write(tmp_path, f"sub-1_acq-fast_run-{run}_T1w", float(run))
        write(tmp_path, f"sub-1_run-{run}_label-lesion_mask", 1)
        write(tmp_path, f"sub-1_run-{run}_label-brain_mask", 1)
    write(tmp_path, "sub-1_acq-slow_run-1_T1w", 9)
    write(tmp_path, "sub-1_acq-space_FLAIR", 5)
    options = {"images": ["acq-fast_T1w", "FLAIR"], "labels": ["label-lesion_mask"]}
    cases = dataset(tmp_path, **options).cases(None, 0)
    assert cases.inputs[:, :, 0, 0, 0].tolist() == [[1, 5], [2, 5]]
    ambiguous = dataset(tmp_path, **{**options, "labels": "mask"})
    (first, _) = ambiguous.parts(None, 0)
    assert "2 files could be: " in first.reason and "Write more of their names in source.labels" in first.reason


def test_labels_of_another_acquisition_or_space_are_not_those_of_a_scan(tmp_path: Path) -> None:
    write(tmp_path, "sub-1_acq-a_T1w", 1)
    write(tmp_path, "sub-1_acq-b_T1w", 2)
    write(tmp_path, "sub-1_acq-b_dseg", 1, "manual")
    cases = dataset(tmp_path).cases(None, 0)
    assert cases.inputs[:, 0, 0, 0, 0].tolist() == [2]
    assert reasons(cases) == {"sub-1/anat/sub-1_acq-a_T1w": "there is no label dseg for it"}


def test_who_is_only_in_the_table_or_only_in_the_folder_is_said(tmp_path: Path) -> None:
    two_sessions(tmp_path)
    write(tmp_path, "sub-03_T1w")
    write(tmp_path, "sub-03_dseg", 1, "manual")
    write(tmp_path, "sub-04_T2w")
    (tmp_path / "participants.tsv").write_text("participant_id\tcentre\nsub-01\tb\nsub-02\ta\nsub-09\tb\nsub-04\tb\n")
    source = dataset(tmp_path, site_column="centre")
    assert reasons(source.cases("b", 0)) == {
        "sub-09": "participants.tsv names it, and there is no file of it",
        "sub-04": "it has no image T1w",
    }
    assert reasons(source.cases("a", 0)) == {"sub-03/anat/sub-03_T1w": "participants.tsv does not name it"}
    assert set(dataset(tmp_path).cases(None, 0).patients) == {"01", "02", "03"}


def test_a_hospital_that_was_not_written_down_is_none(tmp_path: Path) -> None:
    two_sessions(tmp_path)
    (tmp_path / "participants.tsv").write_text("participant_id\tcentre\nsub-01\tn/a\nsub-02\tsouth\n")
    source = dataset(tmp_path, site_column="centre")
    cases = source.cases("south", 0)
    assert (source.sites(), cases.patients.tolist()) == (("south",), ["02", "02"])
    assert {reason.rpartition("tsv ")[2] for reason in reasons(cases).values()} == {"has 'n/a' for its hospital"}


def test_one_name_at_two_hospitals_is_one_person_unless_a_table_says_otherwise(tmp_path: Path) -> None:
    for site in ("north", "south"):
        write(tmp_path / site, "sub-04_T1w")
        write(tmp_path / site, "sub-04_dseg", 1)
    source = dataset(tmp_path, hospitals="folders")
    assert source.sites() == ("north", "south")
    assert {name for site in source.sites() for name in source.cases(site, 0).patients.tolist()} == {"04"}
    for site in ("north", "south"):
        (tmp_path / site / "participants.tsv").write_text(f"participant_id\tperson\nsub-04\t{site} 4\n")
    assert [source.cases(site, 0).patients.tolist() for site in source.sites()] == [["north 4"], ["south 4"]]


def test_a_column_called_patient_names_no_person(tmp_path: Path) -> None:
    two_sessions(tmp_path)
    (tmp_path / "participants.tsv").write_text("participant_id\tpatient\nsub-01\t1\nsub-02\t1\n")
    assert set(dataset(tmp_path).cases(None, 0).patients) == {"01", "02"}


def test_files_are_what_the_cases_read(tmp_path: Path) -> None:
    two_sessions(tmp_path)
    source = dataset(tmp_path, site_column="centre")
    files = [path.relative_to(tmp_path).as_posix() for path in source.files("north")]
    assert [name for name in files if "sub-01" not in name] == ["participants.tsv"]
    assert len(files) == 5
    assert len(list(source.parts("north", 0))) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"images": "T1w.nii.gz"}, "must be a suffix of BIDS names"),
        ({"images": []}, "names no image"),
        ({"labels": ["dseg"], "classes": ["a", "b", "c"]}, "lists 1 suffixes"),
        ({"hospitals": "both"}, "must be 'column' or 'folders'"),
        ({"hospitals": "folders", "site_column": "x"}, "has no use"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(StudyError, match=said):
        SOURCES.build(Entry("bids", options))


def test_a_table_or_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    write(tmp_path, "sub-1_T1w")
    with pytest.raises(SourceError, match=r"no file .*participants.tsv"):
        dataset(tmp_path, site_column="centre").sites()
    with pytest.raises(SourceError, match=r"leads out"):
        dataset(tmp_path, derivatives="../x").cases(None, 0)
    with pytest.raises(SourceError, match=r"no usable volume.*sub-1_T1w: there is no label dseg"):
        dataset(tmp_path).cases(None, 0)


def test_the_file_that_shares_most_and_adds_least_is_the_one() -> None:
    def file(**entities: str) -> BidsFile:
        return BidsFile(Path("x"), entities, "dseg")

    plain, spaced, other = file(sub="1"), file(sub="1", space="MNI"), file(sub="1", run="2")
    assert best([plain, spaced, other], {"sub": "1", "run": "1"}) == [plain]
    assert best([plain, other], {"sub": "1", "run": "2"}) == [other]
    assert best([other], {"sub": "1", "run": "1"}) == []
    assert Wanted("label-lesion_mask", "x").entities == {"label": "lesion"}
