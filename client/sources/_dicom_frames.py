"""The header of a DICOM file as a value: what it is part of, and its slices with their places."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from client.sources._dicom_headers import (
    MOST_FRAMES,
    UNREADABLE,
    Frame,
    Header,
    groups,
    items,
    numbers,
    quiet,
    read_dataset,
    whole,
    word,
)
from common.errors import SourceError

LARGEST_SIDE = 1 << 16
T = TypeVar("T")
SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""Segmentation Storage, Label Map Segmentation Storage."""
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
DIRECTORY = "1.2.840.10008.1.3.10"
CONTOUR_SETS = ("1.2.840.10008.5.1.4.1.1.481.3",)
"""RT Structure Set Storage."""
MEASURED = ("CT", "PT")
"""Modalities whose numbers are a physical quantity, and nothing without the scale that they are written in."""
GREY = ("MONOCHROME1", "MONOCHROME2")
IMAGE, SEGMENTATION, CONTOURS, DIRECTORY_KIND = "image", "segmentation", "contours (RTSTRUCT)", ""
PHASE_TAGS = (
    "EchoTime",
    "EchoNumbers",
    "TemporalPositionIdentifier",
    "AcquisitionNumber",
    "InversionTime",
    "TriggerTime",
    "DiffusionBValue",
    "FlipAngle",
    "ImageType",
)
PHASE_GROUPS = (
    ("MREchoSequence", "EffectiveEchoTime"),
    ("FrameContentSequence", "TemporalPositionIndex"),
    ("FrameContentSequence", "FrameAcquisitionNumber"),
    ("FrameContentSequence", "StackID"),
    ("MRDiffusionSequence", "DiffusionBValue"),
    ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    ("MRImageFrameTypeSequence", "FrameType"),
    ("CTImageFrameTypeSequence", "FrameType"),
)
"""By what slices at one place are told apart: in files of one frame, and of many."""


def read_header(folder: Path, name: str) -> Header:
    """The header of a DICOM file; `fault` says, without a name, why it has no slices.

    Raises SourceError or FileError for what cannot be read at all, or does not say what series it is of.
    """
    return header_of(read_dataset(folder, name, pixels=False), name)


def header_of(dataset: Any, name: str) -> Header:
    """As `read_header`, of a data set that was read already, or was told without its file."""
    with quiet():
        if not word(dataset, "SeriesInstanceUID"):
            if _sop_class(dataset) == DIRECTORY:
                return _header(dataset, name, kind=DIRECTORY_KIND)
            raise SourceError(f"{name} lacks SeriesInstanceUID, which says what series it is of")
        kind = _kind(dataset)
        if kind != IMAGE:
            return _header(dataset, name, kind=kind)
        try:
            return _header(dataset, name, kind=kind, frames=_frames(dataset, name))
        except SourceError as error:
            return _header(dataset, name, kind=kind, fault=str(error))
        except UNREADABLE as error:
            return _header(dataset, name, kind=kind, fault=f"has a broken header ({type(error).__name__})")


def _header(dataset: Any, name: str, kind: str, frames: tuple[Frame, ...] = (), fault: str = "") -> Header:
    return Header(
        name=name,
        kind=kind,
        patient_id=_shared(word(dataset, "PatientID")),
        issuer=_shared(word(dataset, "IssuerOfPatientID")),
        study=_shared(word(dataset, "StudyInstanceUID")),
        study_date=_shared(word(dataset, "StudyDate")),
        series=_shared(word(dataset, "SeriesInstanceUID")),
        number=_shared(word(dataset, "SeriesNumber")),
        description=_shared(word(dataset, "SeriesDescription")),
        modality=_shared(word(dataset, "Modality")),
        institution=_shared(word(dataset, "InstitutionName")),
        instance=word(dataset, "SOPInstanceUID"),
        frame_of_reference=_shared(word(dataset, "FrameOfReferenceUID")),
        referenced=_referenced(dataset),
        frames=frames,
        fault=fault,
        units=_shared("\\".join(filter(None, (word(dataset, "RescaleType"), word(dataset, "Units"))))),
    )


@lru_cache(maxsize=1 << 14)
def _shared(value: T) -> T:
    """The first of equal values: words and numbers of a hundred thousand files of few series are kept once."""
    return value


def _sop_class(dataset: Any) -> str:
    return word(dataset, "SOPClassUID") or word(getattr(dataset, "file_meta", {}), "MediaStorageSOPClassUID")


def _kind(dataset: Any) -> str:
    """IMAGE, SEGMENTATION, CONTOURS, or what else it is, in words."""
    sop_class = _sop_class(dataset)
    if sop_class in SEGMENTATIONS:
        return SEGMENTATION
    if sop_class in CONTOUR_SETS:
        return CONTOURS
    if sop_class == SECONDARY_CAPTURE or sop_class.startswith(f"{SECONDARY_CAPTURE}."):
        return "secondary captures"
    if not word(dataset, "Rows") and not word(dataset, "Columns") and not word(dataset, "PhotometricInterpretation"):
        return "reports and other objects without an image"
    if word(dataset, "SamplesPerPixel") not in ("", "1"):
        return "colour images"
    if "LOCALIZER" in word(dataset, "ImageType").upper().split("\\"):
        return "localizers"
    return IMAGE


def _referenced(dataset: Any) -> frozenset[str]:
    """UIDs of series, and of images in them, that a segmentation or contours are of."""
    found = set()
    try:
        for series in items(dataset, "ReferencedSeriesSequence"):
            found.add(word(series, "SeriesInstanceUID"))
            found |= {word(one, "ReferencedSOPInstanceUID") for one in items(series, "ReferencedInstanceSequence")}
        for frame in items(dataset, "ReferencedFrameOfReferenceSequence"):
            for study in items(frame, "RTReferencedStudySequence"):
                found |= {word(one, "SeriesInstanceUID") for one in items(study, "RTReferencedSeriesSequence")}
    except SourceError:
        return frozenset()
    return frozenset(found - {""})


def _frames(dataset: Any, name: str) -> tuple[Frame, ...]:
    shape = (whole(dataset, "Rows", 1, LARGEST_SIDE), whole(dataset, "Columns", 1, LARGEST_SIDE))
    count = whole(dataset, "NumberOfFrames", 1, MOST_FRAMES, default=1)
    if word(dataset, "PhotometricInterpretation") not in ("", *GREY):
        raise SourceError(
            f"is drawn in {word(dataset, 'PhotometricInterpretation')[:40]}, whose pixels are no intensities"
        )
    if items(dataset, "ModalityLUTSequence"):
        raise SourceError("has a ModalityLUTSequence: its numbers are no linear scale, and are not read")
    if "PerFrameFunctionalGroupsSequence" in dataset:
        return tuple(
            _enhanced_frame(dataset, name, index, shape, group) for index, group in enumerate(groups(dataset, count))
        )
    if count > 1:
        raise SourceError(f"has {count} frames and no PerFrameFunctionalGroupsSequence, which says where they lie")
    lacking = [one for one in ("RescaleSlope", "RescaleIntercept") if not word(dataset, one)]
    if word(dataset, "Modality") in MEASURED and lacking:
        raise SourceError(
            f"lacks {lacking[0]}, without which the numbers of {word(dataset, 'Modality')} mean nothing"
        )
    phase = tuple(f"{keyword} {word(dataset, keyword)}" for keyword in PHASE_TAGS)
    return (_frame(name, 0, shape, (dataset, dataset, dataset, dataset), phase),)


def _enhanced_frame(dataset: Any, name: str, index: int, shape: tuple[int, int], group: Mapping[str, Any]) -> Frame:
    places = tuple(
        group.get(sequence, {})
        for sequence in (
            "PlanePositionSequence",
            "PlaneOrientationSequence",
            "PixelMeasuresSequence",
            "PixelValueTransformationSequence",
        )
    )
    phase = tuple(f"{keyword} {word(group.get(sequence, {}), keyword)}" for sequence, keyword in PHASE_GROUPS)
    return _frame(name, index, shape, places, phase)


def _frame(name: str, index: int, shape: tuple[int, int], places: tuple[Any, ...], phase: tuple[str, ...]) -> Frame:
    """places: the datasets that hold position, orientation, spacing and scale."""
    position, orientation, measures, scale = places
    x, y, z = numbers(position, "ImagePositionPatient", 3)
    return Frame(
        name,
        index,
        shape,
        (x, y, z),
        _shared(numbers(orientation, "ImageOrientationPatient", 6)),
        _shared(numbers(measures, "PixelSpacing", 2)),
        _scale(scale, "RescaleSlope", 1.0),
        _scale(scale, "RescaleIntercept", 0.0),
        _shared(phase),
    )


def _scale(dataset: Any, keyword: str, default: float) -> float:
    if not word(dataset, keyword):
        return default
    (found,) = numbers(dataset, keyword, 1)
    if keyword == "RescaleSlope" and found == 0:
        raise SourceError("has 0 in RescaleSlope, which makes every pixel the same")
    return found
