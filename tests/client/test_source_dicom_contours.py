"""Contours of structure sets as labels: which voxels they hold, and what is put aside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from client.sources._dicom_contours import filled
from client.sources.dicom import Dicom
from common.data.cases import Quarantined
from tests.client.dicom_files import blank, save, save_all, slices, uid, values

RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
OBLIQUE = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)
SQUARE = ((0.6, 0.6), (3.4, 0.6), (3.4, 2.4), (0.6, 2.4))
"""Columns 1 to 3 and rows 1 and 2."""


def structures(
    made: Sequence[Dataset], drawn: Sequence[tuple[str, int, Sequence[tuple[float, float]]]], **tags: Any
) -> Dataset:
    """drawn: name of a region, number of a slice, and points in its columns and rows."""
    one = blank(RTSTRUCT, instance=uid("structures"))
    first = made[0]
    one.PatientID, one.StudyInstanceUID, one.SeriesInstanceUID = "P1", first.StudyInstanceUID, uid("structure set")
    one.Modality, one.StructureSetLabel = "RTSTRUCT", "test"
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = first.SeriesInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = first.FrameOfReferenceUID, [study]
    one.ReferencedFrameOfReferenceSequence = [frame]
    names = list(dict.fromkeys(name for name, _, _ in drawn))
    regions, contours = [], []
    for number, name in enumerate(names, start=1):
        region, lines = Dataset(), Dataset()
        region.ROINumber, region.ROIName = number, name
        lines.ReferencedROINumber = number
        lines.ContourSequence = [_contour(made[index], points, **tags) for own, index, points in drawn if own == name]
        regions.append(region)
        contours.append(lines)
    one.StructureSetROISequence, one.ROIContourSequence = regions, contours
    return one


def _contour(
    image: Dataset, points: Sequence[tuple[float, float]], kind: str = "CLOSED_PLANAR", off_mm: float = 0.0
) -> Dataset:
    x, y = np.array(image.ImageOrientationPatient[:3]), np.array(image.ImageOrientationPatient[3:])
    rows_mm, columns_mm = image.PixelSpacing
    start = np.array(image.ImagePositionPatient, float) + off_mm * np.cross(x, y)
    one = Dataset()
    one.ContourGeometricType, one.NumberOfContourPoints = kind, len(points)
    placed = [start + column * columns_mm * x + row * rows_mm * y for column, row in points]
    one.ContourData = [round(float(value), 4) for point in placed for value in point]
    return one


def source(folder: Path, **options: Any) -> Dicom:
    return Dicom(str(folder), **{"labels": "rtstruct", "dimensions": 3, "size": 0, **options})


@pytest.mark.parametrize("orientation", [(1.0, 0, 0, 0, 1.0, 0), OBLIQUE])
def test_voxels_whose_centres_a_contour_holds_are_of_its_class(orientation: Any, tmp_path: Path) -> None:
    made = slices(values(), orientation=orientation)
    hole = ((1.6, 0.6), (2.4, 0.6), (2.4, 1.4), (1.6, 1.4))
    drawn = [("Structure", 1, SQUARE), ("Structure", 1, hole), ("Structure", 2, SQUARE), ("body", 0, SQUARE)]
    save_all([*made, structures(made, drawn)], tmp_path)
    cases = source(tmp_path, segments={"body": ""}).cases(None, 0)
    truth = np.zeros((4, 5, 6), np.uint8)
    truth[1:3, 1:3, 1:4] = 1
    truth[1, 1, 2] = 0
    by_value = dict(zip(cases.inputs[0, 0].ravel().tolist(), cases.targets[0].ravel().tolist(), strict=True))
    plain = source(tmp_path, segments={"body": ""}, normalisation="none").cases(None, 0)
    by_value = dict(zip(plain.inputs[0, 0].ravel().tolist(), plain.targets[0].ravel().tolist(), strict=True))
    assert by_value == dict(zip(values().ravel().tolist(), truth.ravel().tolist(), strict=True))


BROKEN: dict[str, tuple[Any, dict[str, Any], str]] = {
    "open": ([("structure", 1, SQUARE)], {"kind": "OPEN_PLANAR"}, "'OPEN_PLANAR'; CLOSED_PLANAR is read"),
    "between slices": ([("structure", 1, SQUARE)], {"off_mm": 1.4}, "1.4 mm away from the nearest slice"),
    "unknown": ([("liver", 1, SQUARE)], {}, "'liver', which is no class"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_contours_that_cannot_be_laid_on_slices_are_named(what: str, tmp_path: Path) -> None:
    drawn, tags, reason = BROKEN[what]
    made = slices(values())
    save_all([*made, structures(made, drawn, **tags)], tmp_path)
    (found,) = source(tmp_path).parts(None, 0)
    assert isinstance(found, Quarantined) and reason in found.reason


def test_regions_that_overlap_are_refused_or_given_to_the_last_class(tmp_path: Path) -> None:
    made = slices(values())
    save_all([*made, structures(made, [("a", 1, SQUARE), ("b", 1, SQUARE)])], tmp_path)
    classes = ("background", "a", "b")
    (found,) = source(tmp_path, classes=classes).parts(None, 0)
    assert isinstance(found, Quarantined) and "different classes on 6 voxels" in found.reason
    assert np.unique(source(tmp_path, classes=classes, overlap="last").cases(None, 0).targets).tolist() == [0, 2]


def test_a_broken_structure_set_is_named(tmp_path: Path) -> None:
    made = slices(values())
    broken = structures(made, [("structure", 1, SQUARE)])
    broken.ROIContourSequence[0].ContourSequence[0].ContourData = [1, 2]
    save_all([*made, broken], tmp_path)
    (found,) = source(tmp_path).parts(None, 0)
    assert isinstance(found, Quarantined) and "three finite numbers a point" in found.reason


def test_structure_sets_are_counted_where_segmentations_are_labels(tmp_path: Path) -> None:
    made = slices(values())
    save(structures(made, [("structure", 1, SQUARE)]), tmp_path / "contours")
    save_all(made, tmp_path)
    found = {one.reason for one in source(tmp_path, labels="seg").parts(None, 0) if isinstance(one, Quarantined)}
    assert any("contours (RTSTRUCT), left out: contours" in one for one in found)


POINTS = st.lists(st.tuples(st.floats(-3, 9, width=32), st.floats(-3, 9, width=32)), min_size=1, max_size=8)


@given(POINTS)
def test_a_polygon_holds_what_a_ray_to_the_left_leaves_an_odd_number_of_times(
    points: list[tuple[float, float]],
) -> None:
    found = filled(np.array(points), (6, 7))
    for row in range(6):
        for column in range(7):
            crossed = 0
            for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
                if min(y0, y1) <= row < max(y0, y1):
                    crossed += x0 + (row - y0) * (x1 - x0) / (y1 - y0) <= column
            assert found[row, column] == bool(crossed % 2)
