"""What a DICOM file says of itself, read before its pixels and believed only where it is a number that can be.

Warnings of pydicom are silenced here on purpose: they tell of words that break a rule of DICOM's, and every word that
is used here is checked here, with an error that names the file and the tag.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_preamble

from common.errors import SourceError
from common.files.access import open_inside

LARGEST_FILE_BYTES = 1 << 32
LARGEST_UNPACKED_BYTES = 1 << 30
"""Of a deflated file, which is unpacked whole before its first word can be read."""
MOST_FRAMES = 1 << 16
PREAMBLE_BYTES, PREFIX = 128, b"DICM"
META_GROUP = 0x0002
PIECE_BYTES = 1 << 20
DEFLATED = ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.8.1")
UNREADABLE = (
    InvalidDicomError,
    BytesLengthException,
    LookupError,
    AttributeError,
    OSError,
    EOFError,
    ValueError,
    TypeError,
    NotImplementedError,
    RuntimeError,
    AssertionError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""What pydicom and its plug-ins raise of a file that breaks a rule; RecursionError is a RuntimeError."""
# fmt: off
HEADER_TAGS = [
    "SOPClassUID", "SOPInstanceUID", "Modality", "ImageType", "PatientID", "IssuerOfPatientID",
    "StudyInstanceUID", "SeriesInstanceUID", "SeriesDescription", "SeriesNumber", "StudyDate", "InstitutionName",
    "FrameOfReferenceUID", "AcquisitionNumber", "EchoTime", "EchoNumbers", "TemporalPositionIdentifier",
    "InversionTime", "TriggerTime", "DiffusionBValue", "FlipAngle", "ImagePositionPatient",
    "ImageOrientationPatient", "PixelSpacing", "ImagerPixelSpacing", "Rows", "Columns", "NumberOfFrames",
    "SamplesPerPixel", "PhotometricInterpretation", "RescaleSlope", "RescaleIntercept", "RescaleType", "Units",
    "ModalityLUTSequence", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "SegmentationType", "SegmentSequence", "ReferencedSeriesSequence",
    "ReferencedFrameOfReferenceSequence", "MaximumFractionalValue",
]
# fmt: on
Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Frame:
    """One slice: where it lies and how its numbers are scaled, in the words of DICOM (millimetres, LPS).

    name: of the file below the folder. index: of the frame in it. orientation: direction in which columns go, then
    that in which rows go. pixel_spacing_mm: between rows, then between columns. phase: tags and values that may
    tell it from others of its series at the same place, such as the time of its echo.
    """

    name: str
    index: int
    shape: tuple[int, int]
    position_mm: Triple
    orientation: tuple[float, ...]
    pixel_spacing_mm: tuple[float, ...]
    slope: float
    intercept: float
    phase: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Header:
    """One file: whose it is, what it is part of, and its slices, or the fault that keeps it from having any.

    units: of its numbers, as RescaleType and Units have it.
    """

    name: str
    kind: str
    patient_id: str
    issuer: str
    study: str
    study_date: str
    series: str
    number: str
    description: str
    modality: str
    institution: str
    instance: str
    frame_of_reference: str
    referenced: frozenset[str]
    frames: tuple[Frame, ...]
    fault: str
    units: str = ""


@contextmanager
def quiet() -> Iterator[None]:
    """Without pydicom's warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def has_prefix(folder: Path, name: str) -> bool:
    """Whether a file says, after its preamble, that it is DICOM. Raises FileError where it is no file to be read."""
    with open_inside(folder, name, LARGEST_FILE_BYTES) as file:
        return file.read(PREAMBLE_BYTES + len(PREFIX))[PREAMBLE_BYTES:] == PREFIX


def read_dataset(folder: Path, name: str, pixels: bool) -> Any:
    """A file below the folder as pydicom's dataset, whose words are unread yet. Raises SourceError, FileError."""
    with quiet(), open_inside(folder, name, LARGEST_FILE_BYTES) as file:
        try:
            _check_unpacked_size(file)
            if pixels:
                return pydicom.dcmread(file)
            return pydicom.dcmread(file, stop_before_pixels=True, specific_tags=HEADER_TAGS)
        except UNREADABLE as error:
            raise SourceError(f"{name} is not a readable DICOM file ({type(error).__name__})") from error


def _is_after_meta(tag: int, _representation: str | None, _length: int) -> bool:
    return tag >> 16 != META_GROUP


def _check_unpacked_size(file: BinaryIO) -> None:
    """Unpack a deflated file piece by piece, keeping none of it: pydicom will do so at once. Ends at its start."""
    read_preamble(file, force=False)
    meta: Any = pydicom.filereader.read_dataset(file, False, True, stop_when=_is_after_meta)
    if str(meta.get("TransferSyntaxUID", "")) in DEFLATED:
        unpacker, left, piece = zlib.decompressobj(-zlib.MAX_WBITS), LARGEST_UNPACKED_BYTES, file.read(PIECE_BYTES)
        while piece and left > 0:
            left -= len(unpacker.decompress(piece, PIECE_BYTES))
            piece = unpacker.unconsumed_tail or file.read(PIECE_BYTES)
        if left <= 0:
            raise ValueError(f"unpacks to more than {LARGEST_UNPACKED_BYTES} bytes")
    file.seek(0)


def word(dataset: Any, keyword: str) -> str:
    """A tag as text, trimmed; "" where it is absent or broken."""
    try:
        value = dataset.get(keyword)
    except UNREADABLE:
        return ""
    if value is None or isinstance(value, (pydicom.Sequence, bytes)):
        return ""
    if isinstance(value, (list, tuple, pydicom.multival.MultiValue)):
        return "\\".join(str(one).strip() for one in value)
    return str(value).strip(" \0")


def numbers(dataset: Any, keyword: str, count: int) -> tuple[float, ...]:
    """`count` finite numbers. Raises SourceError that names the tag."""
    try:
        value = dataset.get(keyword)
        if value is None or value == "":
            raise SourceError(f"lacks {keyword}")
        values = list(value) if isinstance(value, (list, tuple, pydicom.multival.MultiValue)) else [value]
        found = tuple(float(one) for one in values)
    except UNREADABLE as error:
        raise SourceError(f"has no numbers in {keyword}") from error
    if len(found) != count or not all(map(isfinite, found)):
        raise SourceError(f"must have {count} finite numbers in {keyword}; it has {len(found)}: {found[:8]}")
    return found


def whole(dataset: Any, keyword: str, low: int, high: int, default: int | None = None) -> int:
    """A whole number within bounds; `default` where there is none. Raises SourceError that names the tag."""
    if default is not None and not word(dataset, keyword):
        return default
    (found,) = numbers(dataset, keyword, 1)
    if found != int(found) or not low <= found <= high:
        raise SourceError(f"has {found:g} in {keyword}, which must be a whole number from {low} to {high}")
    return int(found)


def items(dataset: Any, keyword: str) -> list[Any]:
    """The items of a sequence; [] where there is none. Raises SourceError where it is broken."""
    try:
        return list(dataset.get(keyword) or [])
    except UNREADABLE as error:
        raise SourceError(f"has a broken {keyword}") from error


def groups(dataset: Any, count: int) -> list[Mapping[str, Any]]:
    """Of every frame of a multi-frame file, its functional groups by keyword: its own, or else the shared one.

    Raises SourceError where there are none, or not one a frame.
    """
    shared = _group(next(iter(items(dataset, "SharedFunctionalGroupsSequence")), {}))
    own = items(dataset, "PerFrameFunctionalGroupsSequence")
    if len(own) != count:
        raise SourceError(
            f"has {count} frames and {len(own)} items in PerFrameFunctionalGroupsSequence, which say where they lie"
        )
    return [{**shared, **_group(one)} for one in own]


def _group(item: Any) -> dict[str, Any]:
    """The first item of every sequence in a functional group."""
    found = {}
    for element in item:
        if element.VR == "SQ" and element.keyword and len(element.value):
            found[element.keyword] = element.value[0]
    return found
