"""DICOM segmentations (PS3.3 C.8.20) as labels of a stack of slices: every frame goes where its position says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from client.sources._dicom_decoding import DecoderProcess
from client.sources._dicom_geometry import SPACING_TOLERANCE, SPACING_TOLERANCE_MM, UNIT_TOLERANCE, Stack
from client.sources._dicom_headers import UNREADABLE, groups, items, numbers, quiet, read_dataset, whole, word
from client.sources._dicom_pixels import MOST_VOXELS, stored_frames
from common.errors import SourceError

MOST_SEGMENTS = 1 << 16
OTHERS = "*"


@dataclass(frozen=True)
class Segments:
    """What becomes of segments.

    classes: names, the first of what is in no segment. named: class by a segment's number or label, "" for none, "*"
    for all others; without it a segment's label is its class. least_fraction: from which share on a voxel of a
    fractional segmentation is in its segment. overlap: "last" gives a voxel that is in several segments to the class
    that `classes` names last.
    """

    classes: tuple[str, ...]
    named: Mapping[str, str] = field(default_factory=dict)
    least_fraction: float = 0.5
    overlap: Literal["refuse", "last"] = "refuse"

    def class_of(self, number: int, label: str) -> int:
        """The index of a segment's class; 0 for one that is left out. Raises SourceError where nothing says it."""
        known = {_plain(name): index for index, name in enumerate(self.classes)}
        said = {_plain(name): _plain(to) for name, to in self.named.items()}
        for name in (str(number), _plain(label), OTHERS):
            if name in said:
                return known[said[name]] if said[name] else 0
        if _plain(label) in known:
            return known[_plain(label)]
        raise SourceError(
            f"has a segment {number} {label!r}, which is no class of {', '.join(self.classes)}: name it in "
            'source.classes; or its class, or "" to leave it out, in source.segments'
        )


def read_segmentations(folder: Path, names: Iterable[str], stack: Stack, segments: Segments) -> NDArray[np.uint8]:
    """(columns, rows, slices) uint8: the classes of a stack's voxels by the files `names`.

    Raises SourceError where a frame lies off the stack's slices, segments overlap, or a segment has no class.
    """
    columns, rows, slices = stack.shape
    labels = np.zeros((slices, rows, columns), np.uint8)
    with quiet(), DecoderProcess() as apart:
        for name in names:
            dataset = read_dataset(folder, name, pixels=True)
            try:
                _add(labels, dataset, stack, segments, apart)
            except SourceError as error:
                raise SourceError(f"its segmentation {name} {error}") from error
            except UNREADABLE as error:
                raise SourceError(f"its segmentation {name} cannot be decoded ({type(error).__name__})") from error
    return np.ascontiguousarray(labels.transpose(2, 1, 0))


def _add(labels: NDArray[np.uint8], dataset: Any, stack: Stack, segments: Segments, apart: DecoderProcess) -> None:
    shape = whole(dataset, "Rows", 1, 1 << 16), whole(dataset, "Columns", 1, 1 << 16)
    if shape != stack.frames[0].shape:
        raise SourceError(f"is of {shape} rows and columns and its series of {stack.frames[0].shape}")
    count = whole(dataset, "NumberOfFrames", 1, MOST_VOXELS, default=1)
    if count * prod(shape) > MOST_VOXELS:
        raise SourceError(f"has {count} x {shape[0]} x {shape[1]} pixels; at most {MOST_VOXELS} are read")
    kind = word(dataset, "SegmentationType")
    if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        raise SourceError(f"is of the type {kind[:40]!r}; BINARY, FRACTIONAL and LABELMAP are read")
    classes = _classes(dataset, segments)
    most = whole(dataset, "MaximumFractionalValue", 1, 255, default=255) if kind == "FRACTIONAL" else 1
    places = groups(dataset, count)
    positions = np.array([frame.position_mm for frame in stack.frames])
    for place, pixels in zip(places, stored_frames(dataset, range(count), apart), strict=True):
        target = labels[_slice(place, stack, positions)]
        if kind == "LABELMAP":
            lay(target, _mapped(pixels, classes), segments)
            continue
        of_frame = classes[
            whole(place.get("SegmentIdentificationSequence", {}), "ReferencedSegmentNumber", 1, 1 << 16)
        ]
        inside = pixels >= (segments.least_fraction * most if kind == "FRACTIONAL" else 1)
        lay(target, np.where(inside, np.uint8(of_frame), np.uint8(0)), segments)


def _classes(dataset: Any, segments: Segments) -> dict[int, int]:
    """The class of every segment by its number; that of what is in none is 0."""
    found = items(dataset, "SegmentSequence")
    numbered = {whole(one, "SegmentNumber", 0, MOST_SEGMENTS): word(one, "SegmentLabel") for one in found}
    return {number: segments.class_of(number, label) if number else 0 for number, label in numbered.items()}


def _mapped(pixels: NDArray[Any], classes: Mapping[int, int]) -> NDArray[np.uint8]:
    present, inverse = np.unique(pixels, return_inverse=True)
    unknown = [int(one) for one in present if one and int(one) not in classes]
    if unknown:
        raise SourceError(f"has voxels of segment {unknown[0]}, which it does not describe")
    return np.array([classes.get(int(one), 0) for one in present], np.uint8)[inverse].reshape(pixels.shape)


def lay(target: NDArray[np.uint8], classes: NDArray[np.uint8], segments: Segments) -> None:
    """Add the classes of one frame, or of one region's contours, to the labels of its slice."""
    both = (target > 0) & (classes > 0) & (target != classes)
    if segments.overlap == "refuse" and both.any():
        raise SourceError(
            f"has segments of different classes on {np.count_nonzero(both)} voxels of one slice: say overlap = "
            '"last" to give those to the class that is named last'
        )
    np.maximum(target, classes, out=target)


def _slice(place: Mapping[str, Any], stack: Stack, positions: NDArray[np.float64]) -> int:
    """The slice of the stack, whose slices lie at `positions`, that a frame lies on."""
    position = np.array(numbers(place.get("PlanePositionSequence", {}), "ImagePositionPatient", 3))
    orientation = np.array(numbers(place.get("PlaneOrientationSequence", {}), "ImageOrientationPatient", 6))
    spacing = np.array(numbers(place.get("PixelMeasuresSequence", {}), "PixelSpacing", 2))
    one = stack.frames[0]
    if np.abs(orientation - one.orientation).max() > UNIT_TOLERANCE:
        raise SourceError("has rows and columns in other directions than its series")
    if np.abs(spacing / one.pixel_spacing_mm - 1).max() > UNIT_TOLERANCE:
        raise SourceError("has pixels of another size than its series")
    distances = np.linalg.norm(positions - position, axis=1)
    nearest = int(distances.argmin())
    if distances[nearest] > max(SPACING_TOLERANCE_MM, SPACING_TOLERANCE * stack.spacing_mm[2]):
        raise SourceError(f"has a frame {distances[nearest]:.4g} mm away from the nearest slice of its series")
    return nearest


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())
