"""`wardround pacs` against a real PACS: what a study takes, its images, and outlines that come back to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import highdicom
import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK
from typer.testing import CliRunner

from client.sources.dicomweb import DicomWeb
from common.errors import SourceError
from common.study.study import parse
from experiments.cli import cli
from experiments.prediction.results import DETAILS
from experiments.running.run import run_study
from tests.client.dicom_files import segmentation, slices, uid, values
from tests.client.orthanc import Orthanc, running, write_settings

OBLIQUE = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)
STUDY = """
title = "Bright boxes"
seed = 3
rounds = 1
engine = "inline"
aggregation = "plain"
source = { name = "dicomweb", folder = "FOLDER", modality = "MR", size = 16, slices_per_patient = 3, SITE }
task = { name = "segmentation", network = { name = "unet", channels = 2, depth = 2 } }
training = { epochs = 1 }
"""


def patient(name: str, seed: int, **tags: Any) -> list[pydicom.Dataset]:
    """A series with a bright box, and the segmentation of it."""
    rng = np.random.default_rng(seed)
    stored = rng.integers(0, 50, (5, 14, 12)).astype(np.int16)
    stored[1:4, 4:9, 3:8] += 500
    made = slices(stored, patient=name, series=f"s{name}", modality="MR", orientation=OBLIQUE, **tags)
    masks = np.zeros((5, 14, 12, 1), np.uint8)
    masks[1:4, 4:9, 3:8] = 1
    return [*made, segmentation(made, masks, ("structure",), name=name)]


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """With six persons of two institutions, and two series that cannot be used."""
    with running(tmp_path_factory.mktemp("orthanc")) as found:
        for index in range(6):
            found.put(patient(f"P{index}", index, InstitutionName=["North", "South"][index % 2]))
        gap = slices(values(), patient="P7", series="gap", modality="MR", InstitutionName="North")
        found.put([*gap[:2], gap[3]])
        found.put(slices(values(), patient="P8", series="without", modality="MR", InstitutionName="South"))
        yield found


@pytest.fixture(scope="module")
def folder(pacs: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_settings(tmp_path_factory.mktemp("hospital"), pacs.url)


@pytest.fixture(scope="module")
def study(folder: Path) -> Path:
    text = STUDY.replace("FOLDER", str(folder)).replace("SITE", 'site = "InstitutionName"')
    (folder / "boxes.toml").write_text(text)
    return folder / "boxes.toml"


def said(*words: object, exits: int = 0) -> str:
    result = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == exits, result.output
    return " ".join(result.output.split())


def test_check_says_what_the_pacs_can(folder: Path) -> None:
    words = said("pacs", "check", "--folder", folder)
    assert words.count("ok ") == 7 and "FAILED" not in words
    assert "keeps to filters" in words and "as it is stored" in words


def test_check_says_why_a_pacs_cannot_be_used(folder: Path, tmp_path: Path) -> None:
    assert "there is no pacs.toml" in said("pacs", "check", "--folder", tmp_path, exits=1)
    other = write_settings(tmp_path / "other", "http://127.0.0.1:9/dicom-web", retries=0)
    assert "FAILED query (QIDO-RS)" in said("pacs", "check", "--folder", other, exits=1)


def test_find_names_what_a_study_takes_and_why_it_leaves_the_rest(study: Path, tmp_path: Path) -> None:
    table = tmp_path / "found.json"
    words = said("pacs", "find", study, "--json", table)
    assert "6 series taken, 2 left out." in words
    assert "apart; some 1 slices seem to be missing" in words and "no DICOM segmentation in the PACS" in words
    found = json.loads(table.read_text())
    assert [one["patient"] for one in found if not one["reason"]] == [f"P{index}" for index in range(6)]
    assert not (study.parent / "from-pacs").exists()


def test_find_takes_nothing_where_a_study_asks_for_nothing_that_is_there(study: Path) -> None:
    assert "0 series taken" in said("pacs", "find", study, "--set", "source.modality=PT", exits=1)


def test_a_study_of_another_source_is_refused() -> None:
    assert "one that takes its data from a PACS" in said("pacs", "find", "demo", exits=1)


@pytest.fixture(scope="module")
def run(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study, run on engine inline with two hospitals that share the PACS."""
    found = tmp_path_factory.mktemp("runs") / "run"
    run_study(parse(study.read_text()), "boxes", found)
    return found


def test_a_study_is_checked_and_run_over_a_pacs(study: Path, run: Path) -> None:
    words = said("data", "check", study)
    assert "North" in words and "South" in words
    roster = json.loads((run / "roster.json").read_text())
    assert "North" in json.dumps(roster) and (run / "model.safetensors").is_file()


@pytest.fixture(scope="module")
def predicted(study: Path, run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("predicted")
    said("pacs", "fetch", study, "--out", place / "images", "--set", 'source.patients=["P0"]')
    assert len(list((place / "images").rglob("*.dcm"))) == 6
    said("predict", run, place / "images", "--out", place / "answers")
    _outline_a_box(place / "answers")
    return place / "answers"


def _outline_a_box(answers: Path) -> None:
    """A network of one round outlines anything: its outline is replaced by one without symmetry."""
    (path,) = answers.glob("*_seg.nii.gz")
    image = nib.load(path)
    labels = np.zeros(image.shape, np.uint8)
    labels[2:6, 3:5, 1:3], labels[2, 3, 3] = 1, 1
    nib.save(nib.Nifti1Image(labels, image.affine, image.header), path)


def test_fetch_writes_over_nothing(study: Path, predicted: Path) -> None:
    words = said("pacs", "fetch", study, "--out", predicted, exits=1)
    assert "holds something already" in words


def test_an_outline_is_sent_once_and_lies_where_its_images_do(
    folder: Path, pacs: Orthanc, predicted: Path, tmp_path: Path
) -> None:
    assert "sent: " in said("pacs", "send", predicted, "--folder", folder)
    assert "holds this very outline already" in said("pacs", "send", predicted, "--folder", folder)
    study = DicomWeb(str(folder), patients=("P0",), modality="SEG", labels="rtstruct")
    kept = [path for _, held in study.fetched() for place in held.places for path in (folder / place).glob("*.dcm")]
    (sent,) = [one for one in map(pydicom.dcmread, kept) if one.ContentLabel == "RESEARCH"]
    (source,) = [one for one in map(pydicom.dcmread, kept) if one.ContentLabel != "RESEARCH"]
    assert sent.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert (sent.PatientID, sent.StudyInstanceUID) == ("P0", uid("study of P0"))
    assert sent.ContentDescription == "Research only, not for diagnosis" and "RESEARCH" in sent.SeriesDescription
    described = sent.SegmentSequence[0]
    assert described.SegmentLabel == "structure" and described.SegmentAlgorithmType == "AUTOMATIC"
    algorithm = described.SegmentationAlgorithmIdentificationSequence[0]
    details = json.loads((predicted / DETAILS).read_text())
    assert f"model_sha256={details['model_sha256']}" in algorithm.AlgorithmParameters
    referred = {one.ReferencedSOPInstanceUID for one in sent.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert referred <= {uid(f"sP0/{index}") for index in range(5)} and len(referred) >= 3
    _same_points(sent, predicted, tmp_path)


def _same_points(sent: Any, predicted: Path, place: Path) -> None:
    """An outlined voxel has one place in mm: by nibabel of the NIfTI file, by highdicom and SimpleITK of the SEG."""
    image = nib.load(next(predicted.glob("*_seg.nii.gz")))
    voxels = np.argwhere(np.asarray(image.dataobj) == 1)
    ras = voxels @ image.affine[:3, :3].T + image.affine[:3, 3]
    truth = np.array(sorted(map(tuple, np.round(ras * [-1, -1, 1], 3) + 0.0)))
    sent.save_as(place / "seg.dcm")
    volume = highdicom.seg.segread(place / "seg.dcm").get_volume(combine_segments=True)
    found = np.argwhere(volume.array == 1) @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    np.testing.assert_allclose(np.array(sorted(map(tuple, np.round(found, 3) + 0.0))), truth, atol=2e-3)
    read = SimpleITK.ReadImage(str(place / "seg.dcm"))
    lit = np.argwhere(SimpleITK.GetArrayFromImage(read) > 0)[:, ::-1]
    lit_mm = [read.TransformIndexToPhysicalPoint([int(one) for one in index]) for index in lit]
    np.testing.assert_allclose(np.array(sorted(map(tuple, np.round(lit_mm, 3) + 0.0))), truth, atol=2e-3)


def test_what_was_sent_can_be_learned_from(folder: Path, predicted: Path, tmp_path: Path) -> None:
    said("pacs", "send", predicted, "--folder", folder)
    source = DicomWeb(str(folder), modality="MR", patients=("P0",), dimensions=3, size=0, overlap="last")
    found = source.cases(None, 0)
    image = nib.as_closest_canonical(nib.load(next(predicted.glob("*_seg.nii.gz"))))
    sent = np.asarray(image.dataobj) == 1
    assert (found.targets[0] == 1)[sent].all() and (found.targets[0] == 1).sum() > sent.sum()


def test_a_dry_run_sends_nothing(folder: Path, predicted: Path) -> None:
    assert "which was not sent" in said("pacs", "send", predicted, "--folder", folder, "--dry-run")
    (path,) = predicted.glob("*.dcm")
    assert pydicom.dcmread(path).Modality == "SEG"
    path.unlink()


SPOILED: dict[str, tuple[Any, str]] = {
    "moved": (lambda image: nib.Nifti1Image(image.get_fdata(), image.affine + np.eye(4)), "lies elsewhere"),
    "of another shape": (lambda image: nib.Nifti1Image(np.ones((3, 3, 3)), image.affine), "and its series"),
    "empty": (lambda image: nib.Nifti1Image(np.zeros(image.shape), image.affine), "outlines nothing"),
}


@pytest.mark.parametrize("what", SPOILED)
def test_an_outline_of_no_series_is_not_sent(what: str, folder: Path, predicted: Path, tmp_path: Path) -> None:
    spoil, reason = SPOILED[what]
    for path in predicted.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = next(tmp_path.glob("*_seg.nii.gz"))
    nib.save(spoil(nib.load(path)), path)
    assert reason in said("pacs", "send", tmp_path, "--folder", folder, exits=3)


def test_a_folder_without_answers_is_refused(folder: Path, tmp_path: Path) -> None:
    assert "holds no answers" in said("pacs", "send", tmp_path, "--folder", folder, exits=1)


def test_a_node_asks_its_own_pacs_whatever_a_study_says(folder: Path, study: Path) -> None:
    """data_folder of the hospital replaces the study's; a study's own word for a folder cannot be an address."""
    from client.hospital import open_hospital

    text = parse(study.read_text().replace(str(folder), "https://evil.example.org/dicom-web")).json
    hospital = open_hospital(text, None, str(folder), site="North")
    assert len(hospital.train)
    with pytest.raises(SourceError, match="which no study can change"):
        open_hospital(text, None, None, site="North")
