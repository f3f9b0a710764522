"""Where the slices of a stack lie, from their positions alone: their order, their distance, the affine.

DICOM, PS3.3 C.7.6.2.1.1: with the direction X in which columns go, Y in which rows go, the position S of the first
pixel, and PixelSpacing (between rows, between columns), pixel (column i, row j) lies at S + X spacing[1] i + Y
spacing[0] j, in mm towards left, back and top (LPS). The number of a slice, its thickness, its SliceLocation and
SpacingBetweenSlices say none of this and are not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client.sources._dicom_headers import Frame
from common.errors import SourceError

UNIT_TOLERANCE = 1e-3
"""Of direction cosines, which scanners write with few digits."""
SPACING_TOLERANCE, SPACING_TOLERANCE_MM = 0.02, 0.05
"""How far a slice may lie from its place among evenly spaced ones: a share of their distance, or so many mm."""
TILT_TOLERANCE, TILT_TOLERANCE_MM = 1e-3, 0.05
"""How far slices may move sideways: a share (a tangent) of the length of the stack, or so many mm."""
SAME_PLACE_MM = 1e-3
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
Frames = tuple[Frame, ...]


@dataclass(frozen=True, eq=False)
class Stack:
    """Frames in the order of their places, from the first to the last along the normal of their plane.

    affine: (4, 4) float64, from (column, row, slice) to mm in RAS. sideways_mm: (slices, 2), how far each slice lies
    from the straight stack, along columns and along rows; all 0 where the gantry was not tilted.
    """

    frames: Frames
    affine: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]
    sideways_mm: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows, slices."""
        rows, columns = self.frames[0].shape
        return columns, rows, len(self.frames)

    @property
    def tilted(self) -> bool:
        """Whether a box does not hold the slices."""
        return bool(self.sideways_mm.any())


def checked_plane(frames: Sequence[Frame]) -> NDArray[np.float64]:
    """(3, 3): directions of columns and of rows, and their normal, that all frames share. Raises SourceError."""
    shapes = {frame.shape for frame in frames}
    if len(shapes) > 1:
        raise SourceError(f"mixes images of {_listed(shapes)} rows and columns")
    orientations = np.array([frame.orientation for frame in frames])
    if np.ptp(orientations, axis=0).max() > UNIT_TOLERANCE:
        raise SourceError("mixes orientations (ImageOrientationPatient), as a localizer does")
    spacings = np.array([frame.pixel_spacing_mm for frame in frames])
    if spacings.min() <= 0:
        raise SourceError("has a PixelSpacing that is not above zero")
    if (np.ptp(spacings, axis=0) > UNIT_TOLERANCE * spacings[0]).any():
        raise SourceError("mixes sizes of pixels (PixelSpacing)")
    x, y = orientations[0, :3], orientations[0, 3:]
    if abs(x @ x - 1) > 2 * UNIT_TOLERANCE or abs(y @ y - 1) > 2 * UNIT_TOLERANCE or abs(x @ y) > UNIT_TOLERANCE:
        raise SourceError("has an ImageOrientationPatient that is not two directions at a right angle")
    x = x / np.linalg.norm(x)
    y = y - (x @ y) * x
    y = y / np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)])


def places_mm(frames: Sequence[Frame]) -> NDArray[np.float64]:
    """(N,): how far along the normal of their plane each frame lies."""
    return np.asarray(np.array([frame.position_mm for frame in frames]) @ checked_plane(frames)[2])


def stacked(frames: Frames) -> Stack:
    """The frames as a stack.

    Raises SourceError where they are not evenly spaced, of one place each, at least two, and of one plane.
    """
    plane, places = checked_plane(frames), places_mm(frames)
    order = np.argsort(places, kind="stable")
    frames, places = tuple(frames[index] for index in order), places[order]
    if len(frames) == 1:
        raise SourceError("is a lone slice: nothing says how far the next would be")
    if np.diff(places).min() <= SAME_PLACE_MM:
        raise SourceError("has several images at one place, and no tag tells whole stacks of them apart")
    distance_mm = _even_distance_mm(places)
    rows_mm, columns_mm = frames[0].pixel_spacing_mm
    positions = np.array([frame.position_mm for frame in frames])
    sideways = (positions - positions[0]) @ plane[:2].T
    if np.linalg.norm(sideways, axis=1).max() <= max(
        TILT_TOLERANCE_MM, TILT_TOLERANCE * float(places[-1] - places[0])
    ):
        sideways = np.zeros_like(sideways)
    lps = np.eye(4)
    lps[:3, :3] = (plane * np.array([[columns_mm], [rows_mm], [distance_mm]])).T
    lps[:3, 3] = positions[0]
    return Stack(frames, LPS_TO_RAS @ lps, (columns_mm, rows_mm, distance_mm), sideways)


def tilt_in_words(stack: Stack) -> str:
    """How far and at what angle its slices are shifted."""
    furthest = float(np.linalg.norm(stack.sideways_mm, axis=1).max())
    angle = np.degrees(np.arctan2(furthest, stack.spacing_mm[2] * (len(stack.frames) - 1)))
    return (
        f"its slices move sideways by up to {furthest:.4g} mm (a gantry tilted by some {angle:.3g} degrees), so that "
        'no box holds them. Say tilt = "resample" to have them laid into one'
    )


def _even_distance_mm(places: NDArray[np.float64]) -> float:
    """Raises SourceError, with the distances there are, where slices are missing or unevenly spaced."""
    distance_mm = float(places[-1] - places[0]) / (len(places) - 1)
    gaps = np.diff(places)
    usual = float(np.sort(gaps)[(len(gaps) - 1) // 2])
    tolerance = max(SPACING_TOLERANCE_MM, SPACING_TOLERANCE * usual)
    off = np.abs(places - (places[0] + distance_mm * np.arange(len(places)))).max()
    if off > min(tolerance, usual / 4) or gaps.max() > 1.5 * usual:
        missing = int(np.rint(gaps / usual).sum()) - len(gaps)
        guess = f"; some {missing} slices seem to be missing" if missing > 0 else ""
        raise SourceError(
            f"has slices from {gaps.min():.4g} to {gaps.max():.4g} mm apart{guess}; each must lie within "
            f"{tolerance:.2g} mm of an even distance"
        )
    return distance_mm


def _listed(shapes: Sequence[tuple[int, int]] | set[tuple[int, int]]) -> str:
    return ", ".join(f"{rows} x {columns}" for rows, columns in sorted(shapes)[:4])
