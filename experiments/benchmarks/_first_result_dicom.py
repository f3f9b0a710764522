"""DICOM as an archive exports it: a file a slice under names that say nothing, and segmentations beside them."""

from __future__ import annotations

from pathlib import Path

import highdicom
import numpy as np
from numpy.typing import NDArray
from pydicom import FileDataset
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from experiments.benchmarks._first_result_volumes import head

SITES = ("Lyon", "Uppsala", "Wien")
SLICE_MM, PIXEL_MM = 3.0, 0.8
AIR_HU = -1024


def make_dicom(folder: Path, persons: int, side: int) -> None:
    """HOSPITAL/DICOM/00000/IM00007 ...: one CT series a patient, and a segmentation of a lesion in each."""
    rng = np.random.default_rng(5)
    for number, site in enumerate(SITES):
        for person in range(persons):
            image, labels = head(side, number, rng)
            place = folder / site / "DICOM" / f"{person:05d}"
            place.mkdir(parents=True, exist_ok=True)
            slices = _slices(image.transpose(2, 1, 0), f"{site[:2].upper()}{person + 1:04d}", site)
            for index, one in enumerate(slices):
                one.save_as(place / f"IM{index * 7 % len(slices):05d}", enforce_file_format=True)
            segmentation = _segmentation(slices, labels.transpose(2, 1, 0))
            segmentation.save_as(place / "SEG00001", enforce_file_format=True)


def _slices(stored: NDArray[np.int16], patient: str, site: str) -> list[FileDataset]:
    """CT images of (slices, rows, columns), from the feet upwards."""
    study, series, frame = (str(generate_uid(entropy_srcs=[patient, kind])) for kind in ("study", "series", "frame"))
    made = []
    for index, plane in enumerate(stored):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[patient, str(index)])
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        one.SOPClassUID, one.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        one.SpecificCharacterSet, one.InstitutionName = "ISO_IR 192", site
        one.PatientID, one.PatientName, one.PatientBirthDate, one.PatientSex = patient, "Removed^", "", "O"
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = study, series, frame
        one.StudyID, one.StudyDate, one.StudyTime, one.AccessionNumber = "1", "20240301", "101500", ""
        one.ReferringPhysicianName, one.SeriesNumber, one.InstanceNumber = "", 3, index + 1
        one.Modality, one.SeriesDescription = "CT", "Thorax 3.0 B30f"
        one.ImagePositionPatient = [-100.0, -120.0, -300.0 + SLICE_MM * index]
        one.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        one.PixelSpacing, one.SliceThickness = [PIXEL_MM, PIXEL_MM], SLICE_MM
        one.Rows, one.Columns = plane.shape
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 12, 11, 0
        one.RescaleSlope, one.RescaleIntercept, one.RescaleType = 1, AIR_HU, "HU"
        one.PixelData = plane.astype("<u2").tobytes()
        made.append(one)
    return made


def _segmentation(slices: list[FileDataset], masks: NDArray[np.uint8]) -> highdicom.seg.Segmentation:
    """One binary segment "lesion" of (slices, rows, columns)."""
    described = highdicom.seg.SegmentDescription(
        1,
        "lesion",
        codes.SCT.MorphologicallyAbnormalStructure,
        codes.SCT.Lesion,
        highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
    )
    return highdicom.seg.Segmentation(
        slices,
        masks[..., None],
        highdicom.seg.SegmentationTypeValues.BINARY,
        [described],
        series_instance_uid=str(generate_uid(entropy_srcs=[slices[0].PatientID, "outlines"])),
        series_number=300,
        sop_instance_uid=str(generate_uid(entropy_srcs=[slices[0].PatientID, "outlines 1"])),
        instance_number=1,
        manufacturer="A workstation",
        manufacturer_model_name="Outlines",
        software_versions="1",
        device_serial_number="1",
    )
