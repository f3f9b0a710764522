"""Contours of a radiotherapy structure set (PS3.3 C.8.8.6) as labels of a stack of slices.

A voxel is inside where its centre is: an even number of a region's contours on one slice around it leaves it outside,
which is how holes are drawn. A contour must lie on a slice; nothing is interpolated between slices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.sources._dicom_geometry import SPACING_TOLERANCE, SPACING_TOLERANCE_MM, Stack, checked_plane
from client.sources._dicom_headers import UNREADABLE, items, quiet, read_dataset, whole, word
from client.sources._dicom_segmentation import MOST_SEGMENTS, Segments, lay
from common.errors import SourceError

CLOSED, POINT = "CLOSED_PLANAR", "POINT"
MOST_POINTS = 1 << 22
"""Of all contours of a file."""


def read_contours(folder: Path, names: Iterable[str], stack: Stack, segments: Segments) -> NDArray[np.uint8]:
    """(columns, rows, slices) uint8: the classes of a stack's voxels by the structure sets `names`.

    Raises SourceError where a contour lies off the stack's slices or is not closed, regions overlap, or one has no
    class.
    """
    columns, rows, slices = stack.shape
    labels = np.zeros((slices, rows, columns), np.uint8)
    with quiet():
        for name in names:
            dataset = read_dataset(folder, name, pixels=True)
            try:
                _add(labels, dataset, stack, segments)
            except SourceError as error:
                raise SourceError(f"its structure set {name} {error}") from error
            except UNREADABLE as error:
                raise SourceError(f"its structure set {name} is broken ({type(error).__name__})") from error
    return np.ascontiguousarray(labels.transpose(2, 1, 0))


def _add(labels: NDArray[np.uint8], dataset: Any, stack: Stack, segments: Segments) -> None:
    named = {
        whole(one, "ROINumber", 0, MOST_SEGMENTS): word(one, "ROIName")
        for one in items(dataset, "StructureSetROISequence")
    }
    left = MOST_POINTS
    for region in items(dataset, "ROIContourSequence"):
        number = whole(region, "ReferencedROINumber", 0, MOST_SEGMENTS)
        if number not in named:
            raise SourceError(f"draws a region {number} that it does not name")
        contours = items(region, "ContourSequence")
        of_region = segments.class_of(number, named[number]) if contours else 0
        inside: dict[int, NDArray[np.bool_]] = {}
        for contour in contours if of_region else ():
            points = _points(contour, named[number])
            left -= len(points)
            if left < 0:
                raise SourceError(f"has more than {MOST_POINTS} points")
            index, pixels = _on_slice(points, stack, named[number])
            drawn = filled(pixels, labels.shape[1:]) if word(contour, "ContourGeometricType") != POINT else None
            if drawn is not None:
                inside[index] = inside.get(index, np.zeros(drawn.shape, np.bool_)) ^ drawn
        for index, drawn in inside.items():
            lay(labels[index], np.where(drawn, np.uint8(of_region), np.uint8(0)), segments)


def _points(contour: Mapping[str, Any], region: str) -> NDArray[np.float64]:
    """(N, 3) mm, LPS. Raises SourceError for a contour that encloses nothing it could be asked of."""
    kind = word(contour, "ContourGeometricType")
    if kind not in (CLOSED, POINT):
        raise SourceError(f"has a contour of region {region!r} of the type {kind[:40]!r}; {CLOSED} is read")
    found = np.array([float(one) for one in contour.get("ContourData") or ()])
    if not len(found) or len(found) % 3 or not np.isfinite(found).all():
        raise SourceError(f"has a contour of region {region!r} without three finite numbers a point")
    return found.reshape(-1, 3)


def _on_slice(points: NDArray[np.float64], stack: Stack, region: str) -> tuple[int, NDArray[np.float64]]:
    """The slice that a contour lies on, and its points there: (N, 2), column and row of pixels, whose centres are
    whole numbers.
    """
    x, y, normal = checked_plane(stack.frames)
    positions = np.array([frame.position_mm for frame in stack.frames])
    away = points @ normal
    nearest = int(np.abs(positions @ normal - away.mean()).argmin())
    off = float(np.abs(away - positions[nearest] @ normal).max())
    if off > max(SPACING_TOLERANCE_MM, SPACING_TOLERANCE * stack.spacing_mm[2]):
        raise SourceError(
            f"has a contour of region {region!r} {off:.4g} mm away from the nearest slice of its series"
        )
    rows_mm, columns_mm = stack.frames[0].pixel_spacing_mm
    beside = points - positions[nearest]
    return nearest, np.stack([beside @ x / columns_mm, beside @ y / rows_mm], axis=1)


def filled(points: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Pixels, (rows, columns), whose centres a closed polygon of (column, row) holds, by the even-odd rule.

    A centre on a left or upper edge is inside, on a right or lower one outside, so that polygons side by side share
    no pixel and miss none.
    """
    rows, columns = shape
    crossings = np.zeros((rows, columns + 1), np.int64)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        first, last = np.clip(np.ceil(sorted((y0, y1))), 0, rows).astype(int)
        if first < last:
            at = np.arange(first, last)
            xs = x0 + (at - y0) * (x1 - x0) / (y1 - y0)
            np.add.at(crossings, (at, np.clip(np.ceil(xs), 0, columns).astype(int)), 1)
    return np.asarray(np.cumsum(crossings, axis=1)[:, :columns] % 2 == 1)
