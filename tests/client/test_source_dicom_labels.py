"""Labels of the DICOM source: segmentations that another library wrote, NIfTI files in a series' own place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from pydicom import Dataset

from client.sources.dicom import Dicom
from common.data.cases import Cases, Quarantined
from tests.client.dicom_files import AXIAL, enhanced, save, save_all, segmentation, slices, uid, values

OBLIQUE = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)


def source(folder: Path, **options: Any) -> Dicom:
    plain: dict[str, Any] = {"classes": ("background", "liver", "tumour"), "dimensions": 3, "size": 0}
    return Dicom(str(folder), **{**plain, "normalisation": "none", **options})


def marked(shape: tuple[int, int, int] = (4, 5, 6)) -> np.ndarray:
    """(slices, rows, columns, 2): a liver and a tumour that share no voxel and leave the first slice empty."""
    masks = np.zeros((*shape, 2), np.uint8)
    masks[1:3, 1:4, 2:5, 0] = 1
    masks[2, 2, 3] = [0, 1]
    masks[3, 0, 5, 1] = 1
    return masks


def truth(masks: np.ndarray) -> np.ndarray:
    """(x, y, z) class indices of axial slices, axes towards right, front and top."""
    return (masks[..., 0] + 2 * masks[..., 1]).transpose(2, 1, 0)[::-1, ::-1]


def parts(folder: Path, **options: Any) -> tuple[list[Cases], list[Quarantined]]:
    found = list(source(folder, **options).parts(None, 0))
    return [one for one in found if isinstance(one, Cases)], [one for one in found if isinstance(one, Quarantined)]


def reason(folder: Path, **options: Any) -> str:
    cases, quarantined = parts(folder, **options)
    assert not cases and len(quarantined) == 1
    return quarantined[0].reason


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_segments_lie_on_the_slices_they_were_drawn_on(kind: str, tmp_path: Path) -> None:
    made = slices(values())
    save_all(made, tmp_path)
    order = [3, 1, 0, 2]
    masks = marked()
    pixels = masks.astype(float) if kind == "FRACTIONAL" else masks
    save(segmentation([made[index] for index in order], pixels[order], ("Liver", "Tumour"), kind), tmp_path / "seg")
    (cases,), quarantined = parts(tmp_path)
    assert not quarantined
    np.testing.assert_array_equal(cases.targets[0], truth(masks))
    np.testing.assert_array_equal(cases.inputs[0, 0], values().transpose(2, 1, 0)[::-1, ::-1])


def test_segments_of_oblique_slices_mark_the_voxels_of_their_values(tmp_path: Path) -> None:
    stored, masks = values(), marked()
    made = slices(stored, (3.0, -5.0, 9.0), OBLIQUE, (0.7, 1.9), 2.5)
    save_all(made, tmp_path)
    save(segmentation(made, masks, ("liver", "tumour")), tmp_path / "seg")
    (cases,), _ = parts(tmp_path)
    for label in (1, 2):
        found = np.sort(cases.inputs[0, 0][cases.targets[0] == label])
        np.testing.assert_array_equal(found, np.sort(stored[masks[..., label - 1] == 1]))


def test_segments_are_named_by_number_or_label_or_left_out(tmp_path: Path) -> None:
    made = slices(values())
    save_all(made, tmp_path)
    save(segmentation(made, marked(), ("Leber", "Krebs")), tmp_path / "seg")
    assert "segment 1 'Leber'" in reason(tmp_path) and "source.segments" in reason(tmp_path)
    (cases,), _ = parts(tmp_path, segments={"1": "liver", "krebs": "tumour"})
    np.testing.assert_array_equal(cases.targets[0], truth(marked()))
    (cases,), _ = parts(tmp_path, segments={"Leber": "liver", "*": ""})
    np.testing.assert_array_equal(cases.targets[0] > 0, truth(marked()) == 1)


def test_segments_that_overlap_are_put_aside_or_the_last_class_wins(tmp_path: Path) -> None:
    made = slices(values())
    save_all(made, tmp_path)
    masks = marked()
    masks[1, 1, 2] = 1
    save(segmentation(made, masks, ("liver", "tumour")), tmp_path / "seg")
    assert "on 1 voxels" in reason(tmp_path) and 'overlap = "last"' in reason(tmp_path)
    (cases,), _ = parts(tmp_path, overlap="last")
    np.testing.assert_array_equal(cases.targets[0], np.minimum(truth(masks), 2))


def test_a_voxel_is_in_a_segment_from_the_fraction_on(tmp_path: Path) -> None:
    made = slices(values())
    save_all(made, tmp_path)
    fractions = np.zeros((4, 5, 6, 1))
    fractions[0, 0, :3, 0] = [0.2, 0.5, 0.9]
    save(segmentation(made, fractions, ("liver",), "FRACTIONAL"), tmp_path / "seg")
    counts = [int((parts(tmp_path, least_fraction=least)[0][0].targets == 1).sum()) for least in (0.1, 0.6, 1.0)]
    assert counts == [3, 1, 0]


def test_several_files_add_up_and_those_of_other_series_are_not_looked_at(tmp_path: Path) -> None:
    made, other = slices(values()), slices(values(seed=1), patient="P2")
    save_all(made, tmp_path / "a")
    save_all(other, tmp_path / "b")
    save(segmentation(made, marked()[..., :1], ("liver",)), tmp_path / "seg1")
    save(segmentation(made, marked()[..., 1:], ("tumour",)), tmp_path / "seg2")
    save(segmentation(other, marked()[::-1], ("liver", "tumour")), tmp_path / "seg3")
    cases, quarantined = parts(tmp_path)
    assert not quarantined
    np.testing.assert_array_equal(cases[0].targets[0], truth(marked()))
    np.testing.assert_array_equal(cases[1].targets[0], truth(marked()[::-1]))


def test_a_segmentation_of_an_absent_series_and_a_series_without_one_are_named(tmp_path: Path) -> None:
    save_all(slices(values()), tmp_path)
    gone = slices(values(), patient="P2")
    save(segmentation(gone, marked(), ("liver", "tumour")), tmp_path / "seg")
    cases, quarantined = parts(tmp_path)
    assert not cases
    assert [one.reason for one in quarantined] == [
        "has no labels: no DICOM segmentation here refers to it",
        "is a segmentation of a series that is not here",
    ]


def moved(made: Dataset) -> None:
    for frame in made.PerFrameFunctionalGroupsSequence:
        x, y, z = frame.PlanePositionSequence[0].ImagePositionPatient
        frame.PlanePositionSequence[0].ImagePositionPatient = [x, y, float(z) + 1.5]


SPOILT: dict[str, tuple[Any, str]] = {
    "between slices": (moved, "1.5 mm away from the nearest slice"),
    "another patient": (lambda made: setattr(made, "PatientID", "P2"), "another patient"),
    "another frame": (lambda made: setattr(made, "FrameOfReferenceUID", "1.2.3"), "another frame of reference"),
    "turned": (
        lambda made: setattr(
            made.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0],
            "ImageOrientationPatient",
            [0, 1, 0, 1, 0, 0],
        ),
        "other directions",
    ),
    "no frames' places": (lambda made: delattr(made, "PerFrameFunctionalGroupsSequence"), "0 items in PerFrame"),
    "hostile": (lambda made: setattr(made, "NumberOfFrames", 100_000_000), "at most"),
    "cut": (lambda made: setattr(made, "PixelData", made.PixelData[:2]), "ends before its header says so"),
    "unknown kind": (lambda made: setattr(made, "SegmentationType", "OTHER"), "of the type 'OTHER'"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_segmentation_that_does_not_fit_puts_its_series_aside(what: str, tmp_path: Path) -> None:
    spoil, expected = SPOILT[what]
    made = slices(values())
    save_all(made, tmp_path)
    drawn = segmentation(made, marked(), ("liver", "tumour"))
    spoil(drawn)
    save(drawn, tmp_path / "seg")
    assert expected in reason(tmp_path)


def test_labels_of_slices_of_a_tilted_gantry_go_with_them(tmp_path: Path) -> None:
    stored, masks = values(), marked()
    made = slices(stored, (0, 0, 0), AXIAL, (2.0, 2.0), 3.0, drift=(0.0, 2.0, 0.0))
    save_all(made, tmp_path)
    save(segmentation(made, masks, ("liver", "tumour")), tmp_path / "seg")
    (cases,), _ = parts(tmp_path, tilt="resample")
    for label in (1, 2):
        found = np.sort(cases.inputs[0, 0][cases.targets[0] == label])
        np.testing.assert_allclose(found, np.sort(stored[masks[..., label - 1] == 1]))


def test_frames_of_a_multi_frame_image_take_their_segments(tmp_path: Path) -> None:
    image = enhanced(values(), order=[2, 0, 3, 1])
    for index, frame in enumerate(image.PerFrameFunctionalGroupsSequence):
        content = Dataset()
        content.DimensionIndexValues = [index + 1]
        frame.FrameContentSequence = [content]
    save(image, tmp_path / "image")
    single = slices(values())
    drawn = segmentation(single, marked(), ("liver", "tumour"))
    drawn.ReferencedSeriesSequence[0].SeriesInstanceUID = image.SeriesInstanceUID
    del drawn.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    save(drawn, tmp_path / "seg")
    (cases,), _ = parts(tmp_path)
    np.testing.assert_array_equal(cases.targets[0], truth(marked()))


def nifti(folder: Path, name: str, flip: bool = False, shift_mm: float = 0.0, rows: int = 5) -> None:
    """Labels in the place of axial `slices`, with DICOM's order of rows and columns."""
    labels = (marked((4, rows, 6))[..., 0] + 2 * marked((4, rows, 6))[..., 1]).transpose(2, 1, 0)
    affine = np.diag([-1.5, -2.0, 3.0, 1.0])
    affine[:3, 3] = [-10.0 + shift_mm, -20.0, 30.0]
    if flip:
        labels, move = labels[:, ::-1], np.eye(4)
        move[1, 1], move[1, 3] = -1, rows - 1
        affine = affine @ move
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.ascontiguousarray(labels), affine), folder / name)


@pytest.mark.parametrize("flip", [False, True])
def test_nifti_labels_are_laid_where_their_affine_says(flip: bool, tmp_path: Path) -> None:
    save_all(slices(values()), tmp_path)
    nifti(tmp_path, f"labels/P1/{uid('P1/s1')}.nii.gz", flip)
    nifti(tmp_path, "labels/P7/none.nii.gz")
    (cases,), (unused,) = parts(tmp_path, labels="labels/{patient}/{series}.nii.gz")
    np.testing.assert_array_equal(cases.targets[0], truth(marked()))
    assert unused.name == "labels/P7/none.nii.gz"


@pytest.mark.parametrize(
    ("change", "expected"),
    [({"shift_mm": 0.5}, "different places"), ({"rows": 6}, "(6, 6, 4)"), (None, "there is no")],
)
def test_nifti_labels_in_another_place_are_refused(
    change: dict[str, Any] | None, expected: str, tmp_path: Path
) -> None:
    save_all(slices(values()), tmp_path)
    if change is not None:
        nifti(tmp_path, "P1.nii.gz", **change)
    assert expected in reason(tmp_path, labels="{patient}.nii.gz")


def test_a_patients_tag_leads_to_no_file_elsewhere(tmp_path: Path) -> None:
    nifti(tmp_path, "secret.nii.gz")
    save_all(slices(values(), patient="../secret"), tmp_path / "data")
    assert "no file's name" in reason(tmp_path / "data", labels="{patient}.nii.gz")
