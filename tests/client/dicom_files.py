"""Makes small DICOM files for tests: series of single slices, multi-frame files, segmentations by highdicom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
from pydicom import Dataset, FileDataset
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def uid(text: str) -> str:
    """The same UID for the same text."""
    return str(generate_uid(entropy_srcs=[text]))


def blank(sop_class: str = CT, syntax: UID = ExplicitVRLittleEndian, instance: str = "1") -> FileDataset:
    """A data set of its class with a preamble and a file's meta information."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, instance
    meta.TransferSyntaxUID = syntax
    one = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    one.SOPClassUID, one.SOPInstanceUID = sop_class, instance
    return one


def image(
    stored: np.ndarray, patient: str = "P1", series: str = "s1", modality: str = "CT", name: str = "0", **tags: Any
) -> FileDataset:
    """A data set of a series with (rows, columns) or (frames, rows, columns) of stored values of 16 bits."""
    one = blank(tags.pop("SOPClassUID", CT), tags.pop("syntax", ExplicitVRLittleEndian), uid(f"{series}/{name}"))
    one.SpecificCharacterSet = "ISO_IR 192"
    one.PatientID, one.PatientName, one.PatientBirthDate, one.PatientSex = patient, "Doe^Jane", "19700101", "F"
    one.StudyInstanceUID, one.SeriesInstanceUID = uid(f"study of {patient}"), uid(f"{patient}/{series}")
    one.FrameOfReferenceUID = uid(f"frame of {patient}/{series}")
    one.StudyID, one.StudyDate, one.StudyTime, one.AccessionNumber = "1", "20200101", "120000", ""
    one.ReferringPhysicianName, one.InstanceNumber, one.SeriesNumber = "", 1, 7
    one.Modality, one.SeriesDescription = modality, f"description of {series}"
    one.Rows, one.Columns = stored.shape[-2:]
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit = 16, 16, 15
    one.PixelRepresentation = int(stored.dtype.kind == "i")
    one.RescaleSlope, one.RescaleIntercept = 1, 0
    one.PixelData = stored.astype(stored.dtype.newbyteorder("<")).tobytes()
    for keyword, value in tags.items():
        if value is None:
            delattr(one, keyword)
        else:
            setattr(one, keyword, value)
    return one


def save(one: Dataset, path: Path) -> Path:
    """Write a file and the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    one.save_as(path, enforce_file_format=True)
    return path


def slices(
    stored: np.ndarray,
    origin: Sequence[float] = (10.0, 20.0, 30.0),
    orientation: Sequence[float] = AXIAL,
    pixel_spacing: Sequence[float] = (2.0, 1.5),
    gap_mm: float = 3.0,
    drift: Sequence[float] = (0.0, 0.0, 0.0),
    **tags: Any,
) -> list[FileDataset]:
    """Data sets of (slices, rows, columns) along the normal; drift: what each adds to the position."""
    x, y = np.array(orientation[:3]), np.array(orientation[3:])
    made = []
    for index, plane in enumerate(stored):
        position = np.array(origin) + index * (gap_mm * np.cross(x, y) + np.array(drift))
        one = image(plane, name=f"{tags.pop('prefix', '')}{index}", **tags)
        one.ImagePositionPatient = [round(float(value), 6) for value in position]
        one.ImageOrientationPatient = [round(float(value), 6) for value in orientation]
        one.PixelSpacing = list(pixel_spacing)
        one.InstanceNumber = len(stored) - index
        one.SliceThickness = 99
        made.append(one)
    return made


def save_all(made: Sequence[Dataset], folder: Path, stem: str = "IM") -> list[Path]:
    """Write data sets under names that say nothing of their order."""
    return [save(one, folder / f"{stem}{(index * 7) % 11:02d}{index}") for index, one in enumerate(made)]


def values(shape: tuple[int, int, int] = (4, 5, 6), seed: int = 0) -> np.ndarray:
    """(slices, rows, columns) int16 that are all different."""
    return np.random.default_rng(seed).permutation(int(np.prod(shape))).astype(np.int16).reshape(shape) - 20


def enhanced(stored: np.ndarray, order: Sequence[int], gap_mm: float = 3.0, **tags: Any) -> FileDataset:
    """One multi-frame file: frame i shows slice order[i]; orientation and spacing are shared, positions are not."""
    one = image(stored[list(order)], SOPClassUID=ENHANCED_CT, RescaleSlope=None, RescaleIntercept=None, **tags)
    one.NumberOfFrames = len(order)
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = list(AXIAL)
    measures.PixelSpacing, measures.SliceThickness, measures.SpacingBetweenSlices = [2.0, 1.5], 99, 99
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    one.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for index in order:
        frame, place, scale = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [10.0, 20.0, 30.0 + gap_mm * index]
        scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = index + 1, -index, "US"
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = [place], [scale]
        frames.append(frame)
    one.PerFrameFunctionalGroupsSequence = frames
    return one


def segmentation(
    source: Sequence[Dataset], masks: np.ndarray, labels: Sequence[str], kind: str = "BINARY", name: str = ""
) -> Dataset:
    """masks: (slices, rows, columns, segments), in the order of `source`. highdicom drops empty frames.

    name: tells it from others of the same labels.
    """
    algorithm = highdicom.AlgorithmIdentificationSequence("test", codes.DCM.ArtificialIntelligence, "1")
    described = [
        highdicom.seg.SegmentDescription(
            number,
            label,
            codes.SCT.Tissue,
            codes.SCT.Tissue,
            highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm,
        )
        for number, label in enumerate(labels, start=1)
    ]
    return highdicom.seg.Segmentation(
        source,
        masks,
        kind,
        described,
        series_instance_uid=uid(f"seg {labels}{name}"),
        series_number=9,
        sop_instance_uid=uid(f"seg {labels} 1{name}"),
        instance_number=1,
        manufacturer="test",
        manufacturer_model_name="test",
        software_versions="1",
        device_serial_number="1",
    )
