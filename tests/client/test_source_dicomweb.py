"""Source dicomweb against a real PACS: what it takes, keeps, checks again, and puts aside."""

from __future__ import annotations

import io
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, RLELossless

from client.sources import _pacs_cache, _pacs_http
from client.sources._pacs_query import Query
from client.sources.dicom import Dicom
from client.sources.dicomweb import DicomWeb
from common.data.cases import Cases, Quarantined
from common.errors import SourceError, StudyError
from tests.client.dicom_files import save_all, segmentation, slices, uid, values
from tests.client.orthanc import Orthanc, running, write_settings
from tests.client.test_source_dicom_quarantine import SERIES, compressed


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with running(tmp_path_factory.mktemp("orthanc")) as found:
        yield found


@pytest.fixture
def pacs(started: Orthanc) -> Orthanc:
    started.clear()
    return started


def source(folder: Path, **options: Any) -> DicomWeb:
    (folder / "table.csv").write_text("PatientID,label\nP1,a\nP2,b\n")
    plain: dict[str, Any] = {"labels": "table", "table": "table.csv", "classes": ("a", "b")}
    return DicomWeb(str(folder), **{**plain, "dimensions": 3, "size": 0, "normalisation": "none", **options})


def test_a_series_of_the_pacs_is_read_as_a_folder_of_its_files_is(pacs: Orthanc, tmp_path: Path) -> None:
    made = slices(values(), patient="P1")
    masks = np.zeros((4, 5, 6, 1), np.uint8)
    masks[1, 2:4, 3:5] = 1
    own = segmentation(made, masks, ("structure",))
    pacs.put([*made, own])
    folder = write_settings(tmp_path / "hospital", pacs.url)
    save_all([*made, own], tmp_path / "files")
    of_pacs = DicomWeb(str(folder), dimensions=3, size=0).cases(None, 0)
    of_files = Dicom(str(tmp_path / "files"), dimensions=3, size=0).cases(None, 0)
    for name in of_files.columns:
        np.testing.assert_array_equal(of_pacs.columns[name].gather(), of_files.columns[name].gather())
    assert of_pacs.patients.tolist() == ["p1"] and of_pacs.targets.sum() == 4


def test_what_is_kept_is_for_the_hospital_alone(pacs: Orthanc, tmp_path: Path) -> None:
    pacs.put(slices(values(), patient="P1"))
    folder = write_settings(tmp_path / "hospital", pacs.url)
    source(folder).cases(None, 0)
    kept = [*(folder / "from-pacs").rglob("*"), folder / "from-pacs"]
    assert len([one for one in kept if one.suffix == ".dcm"]) == 4
    assert {stat.S_IMODE(one.stat().st_mode) for one in kept} == {0o600, 0o700}


FILTERS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "modality": ({"modality": "MR"}, ["p2"]),
    "series": ({"series": "*s2"}, ["p2"]),
    "study": ({"study": "HEAD*"}, ["p1"]),
    "study with signs that are escaped": ({"study": "head plain/ä"}, ["p1"]),
    "dates": ({"dates": ("2021-01-01", "")}, ["p2"]),
    "dates before": ({"dates": ("", "20201231")}, ["p1"]),
    "patients": ({"patients": ("P2",)}, ["p2"]),
    "filters": ({"filters": {"BodyPartExamined": "kn*"}}, ["p2"]),
    "all": ({}, ["p1", "p2"]),
}


@pytest.mark.parametrize("what", FILTERS)
def test_a_study_takes_what_it_asks_for(what: str, pacs: Orthanc, tmp_path: Path) -> None:
    options, patients = FILTERS[what]
    pacs.put(slices(values(), patient="P1", StudyDescription="HEAD plain/ä", BodyPartExamined="HEAD"))
    second = {"StudyDate": "20220505", "StudyDescription": "Knee", "BodyPartExamined": "KNEE"}
    pacs.put(slices(values(), patient="P2", series="s2", modality="MR", **second))
    folder = write_settings(tmp_path / "hospital", pacs.url)
    assert source(folder, **options).cases(None, 0).patients.tolist() == patients


@pytest.mark.parametrize(("pick", "described"), [("most_images", "a"), ("latest", "b")])
def test_of_several_series_of_a_study_one_is_picked(pick: Any, described: str, pacs: Orthanc, tmp_path: Path) -> None:
    pacs.put(slices(values((5, 5, 6)), patient="P1", series="a", SeriesDate="20200101"))
    pacs.put(slices(values((4, 5, 6)), patient="P1", series="b", SeriesDate="20200102"))
    folder = write_settings(tmp_path / "hospital", pacs.url)
    (name,) = [one.name for one in source(folder, pick=pick).scans()[""] if one.name.startswith("series")]
    assert f"description of {described}" in name


def test_all_pages_of_a_list_are_read(pacs: Orthanc, tmp_path: Path) -> None:
    for index in range(5):
        pacs.put(slices(values((3, 4, 5)), patient=f"P{index}", series=f"s{index}"))
    folder = write_settings(tmp_path / "hospital", pacs.url, page=2)
    chosen = source(folder, patients=()).scans()[""]
    assert len({one.name for one in chosen if "series 7" in one.name}) == 5


def test_what_is_held_is_not_fetched_again_and_what_changed_is(
    pacs: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = slices(values(), patient="P1")
    pacs.put(made)
    folder = write_settings(tmp_path / "hospital", pacs.url)
    taken: list[str] = []
    plain = _pacs_cache.Fetching._take

    def counting(self: Any, name: str, one: Any, missing: set[str], path: str) -> None:
        taken.append(path.rpartition("/")[2])
        plain(self, name, one, missing, path)

    monkeypatch.setattr(_pacs_cache.Fetching, "_take", counting)
    first = source(folder).cases(None, 0)
    assert taken == [uid("P1/s1")]
    pacs.put(slices(values(), patient="P2"))
    taken.clear()
    assert source(folder).cases(None, 0).patients.tolist() == ["p1", "p2"] and taken == [uid("P2/s1")]
    pacs.remove("Study", uid("study of P2"))
    pacs.remove("Instance", made[3].SOPInstanceUID)
    second = source(folder).cases(None, 0)
    assert second.patients.tolist() == ["p1"] and second.inputs.shape[-1] == first.inputs.shape[-1] - 1
    assert len(list(folder.rglob("*.dcm"))) == 3


def test_a_fetch_that_was_cut_off_goes_on_where_it_was(
    pacs: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pacs.put(slices(values(), patient="P1"))
    folder = write_settings(tmp_path / "hospital", pacs.url)
    taken: list[str] = []
    plain = _pacs_cache.Fetching._written

    def counting(self: Any, name: str, one: Any, pieces: Any) -> str:
        if len(taken) == 2:
            taken.append("cut off")
            raise KeyboardInterrupt
        taken.append(plain(self, name, one, pieces))
        return taken[-1]

    monkeypatch.setattr(_pacs_cache.Fetching, "_written", counting)
    with pytest.raises(KeyboardInterrupt):
        source(folder).cases(None, 0)
    (place,) = [one.parent for one in folder.rglob(".held.json")]
    (place / ".incoming.of-a-crash").write_bytes(b"half")
    assert len(source(folder).cases(None, 0)) == 1
    assert len(taken) == 5 and len({*taken}) == 5
    assert not (place / ".incoming.of-a-crash").exists()


def test_files_that_a_loss_of_power_emptied_are_fetched_again(pacs: Orthanc, tmp_path: Path) -> None:
    pacs.put(slices(values(), patient="P1"))
    folder = write_settings(tmp_path / "hospital", pacs.url)
    before = source(folder).cases(None, 0)
    sorted(folder.rglob("*.dcm"))[1].write_bytes(b"")
    np.testing.assert_array_equal(source(folder).cases(None, 0).inputs, before.inputs)


def test_while_the_pacs_is_away_what_was_checked_lately_is_used_and_that_is_said(
    pacs: Orthanc, tmp_path: Path
) -> None:
    pacs.put(slices(values(), patient="P1"))
    folder = write_settings(tmp_path / "hospital", pacs.url)
    before = source(folder).cases(None, 0)
    write_settings(folder, "http://127.0.0.1:9/dicom-web", retries=0)
    after = source(folder).cases(None, 0)
    np.testing.assert_array_equal(before.inputs, after.inputs)
    assert [one.name for one in after.quarantined if "cannot be reached" in one.reason] == ["the PACS"]
    write_settings(folder, "http://127.0.0.1:9/dicom-web", retries=0, offline_hours=0)
    with pytest.raises(SourceError, match="cannot be reached"):
        source(folder).cases(None, 0)


def test_a_series_that_was_being_fetched_anew_when_the_pacs_went_away_is_not_read_in_part(
    pacs: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pacs.put([*slices(values(), patient="P1"), *slices(values(), patient="P2", series="s2")])
    folder = write_settings(tmp_path / "hospital", pacs.url, retries=0)
    assert source(folder).cases(None, 0).patients.tolist() == ["p1", "p2"]
    pacs.put(slices(values((6, 5, 6)), patient="P1")[4:])
    plain, taken = _pacs_cache.Fetching._written, []

    def once(self: Any, name: str, one: Any, pieces: Any) -> str:
        if len(taken) == 3:
            raise _pacs_http.UnreachableError("the PACS went away")
        taken.append(name)
        return plain(self, name, one, pieces)

    monkeypatch.setattr(_pacs_cache.Fetching, "_written", once)
    cases = source(folder).cases(None, 0)
    assert cases.patients.tolist() == ["p2"]
    assert [one for one in cases.quarantined if "being fetched anew" in one.reason]
    monkeypatch.undo()
    assert sorted(source(folder).cases(None, 0).patients) == ["p1", "p2"]
    assert len(list(folder.rglob("*.dcm"))) == 10


def test_a_wrong_password_is_said_at_once(pacs: Orthanc, tmp_path: Path) -> None:
    folder = write_settings(tmp_path / "hospital", pacs.url)
    (folder / "password").write_text("wrong\n")
    with pytest.raises(SourceError, match="HTTP 401"):
        source(folder).cases(None, 0)


BROKEN = sorted(set(SERIES) - {"another patient", "an unknown label", "a broken number"})
"""The second is no series of P1 any more, the third no PACS takes."""


def test_what_a_folder_puts_aside_a_pacs_does_too(pacs: Orthanc, tmp_path: Path) -> None:
    for what in BROKEN:
        made = slices(values(seed=1), series=what, SeriesDescription=what)
        SERIES[what][0](made)
        pacs.put(made)
    pacs.put(slices(values(), patient="P2"))
    parts = list(source(write_settings(tmp_path / "hospital", pacs.url)).parts(None, 0))
    assert [one.patients.tolist() for one in parts if isinstance(one, Cases)] == [["p2"]]
    found = {one.name.partition(" (")[0]: one.reason for one in parts if isinstance(one, Quarantined)}
    assert len(found) == len(BROKEN)
    for what in BROKEN:
        assert re.search(SERIES[what][1], found[f"series 7 {what}"]), (what, found)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLosslessSV1, JPEG2000Lossless], ids=lambda one: one.name)
def test_compressed_images_come_as_they_are_stored(syntax: Any, pacs: Orthanc, tmp_path: Path) -> None:
    if syntax == JPEG2000Lossless:
        stored = values().astype(np.uint16) & 0xFFF
        made = slices(stored, patient="P1", syntax=syntax)
        for one, plane in zip(made, stored, strict=True):
            stream = io.BytesIO()
            Image.fromarray(plane).save(stream, "JPEG2000", irreversible=False, no_jp2=True, num_resolutions=1)
            one.PixelData = encapsulate([stream.getvalue()])
            one["PixelData"].VR = "OB"
        pacs.put(made)
    else:
        stored = values()
        pacs.put_files(compressed(syntax, tmp_path / "files"))
    folder = write_settings(tmp_path / "hospital", pacs.url)
    cases = source(folder).cases(None, 0)
    np.testing.assert_array_equal(cases.inputs[0, 0], stored.transpose(2, 1, 0)[::-1, ::-1])
    (kept, *_) = sorted(folder.rglob("*.dcm"))
    assert str(syntax).encode() in kept.read_bytes()[:1000]


def test_each_of_two_folders_is_a_hospital_with_a_pacs_of_its_own(pacs: Orthanc, tmp_path: Path) -> None:
    pacs.put(slices(values(), patient="P1", InstitutionName="North"))
    pacs.put(slices(values(seed=1), patient="P2", InstitutionName="South"))
    folder = write_settings(tmp_path, pacs.url)
    for site in ("north", "south"):
        write_settings(tmp_path / site, pacs.url)
    by_tag = source(folder, site="InstitutionName")
    assert by_tag.sites() == ("North", "South") and by_tag.cases("South", 0).patients.tolist() == ["p2"]
    by_folder = source(folder, site="folder")
    assert by_folder.sites() == ("north", "south")
    assert by_folder.cases("north", 0).patients.tolist() == ["p1", "p2"]
    assert not (tmp_path / "south" / "from-pacs").exists()


@pytest.mark.parametrize("address", ["https://evil.example.org/dicom-web", "dicomweb:https://evil.example.org"])
def test_a_study_cannot_say_where_the_pacs_is(address: str) -> None:
    with pytest.raises(SourceError, match="which no study can change"):
        DicomWeb(address).cases(None, 0)


def test_a_study_has_no_option_that_is_an_address() -> None:
    with pytest.raises(TypeError, match="url"):
        DicomWeb("folder", url="https://evil.example.org")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"dates": ("2020",)}, "first, last"),
        ({"dates": ("yesterday", "")}, "first, last"),
        ({"pick": "newest"}, "pick"),
        ({"filters": {"BodyPart": "HEAD"}}, "BodyPartExamined"),
        ({"study": "a\\b"}, "backslash"),
        ({"patients": ("a\n",)}, "backslash"),
    ],
)
def test_a_query_that_cannot_be_is_refused_when_the_study_is_read(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(StudyError, match=reason):
        DicomWeb("folder", **options)


def test_the_same_question_has_the_same_place() -> None:
    assert Query(modality="CT").digest == Query(modality="CT").digest != Query(modality="MR").digest
    one = DicomWeb("f", patients=("b", "a"), filters={"PatientSex": "F", "Manufacturer": "x"})
    two = DicomWeb("g", patients=("a", "b"), filters={"Manufacturer": "x", "PatientSex": "F"}, size=32)
    assert one.query.digest == two.query.digest
