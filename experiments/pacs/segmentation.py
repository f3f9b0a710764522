"""A predicted outline as a DICOM segmentation (PS3.3 A.51) of the images that it was predicted for, by highdicom.

It lies in their frame of reference and refers to each of them; its UIDs are functions of images, model and outline,
so that the same answer is the same object however often it is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from client.sources._dicom_geometry import Stack
from client.sources._dicom_headers import quiet, read_dataset
from client.sources._dicom_pixels import MOST_VOXELS
from common.data.nifti_files import read_nifti
from common.errors import SourceError

SERIES_NUMBER = 9000
RESEARCH = "RESEARCH"
DESCRIPTION = "Research only, not for diagnosis"
AFFINE_TOLERANCE_MM = 0.01
"""NIfTI holds its affine in float32."""
LONGEST_LABEL = 64


@dataclass(frozen=True)
class Answer:
    """An outline. values: of each class in its file, background first. title: of the study that the model is of."""

    case: str
    outline: Path
    values: Mapping[str, int]
    title: str
    model_sha256: str


def segmentation_of(answer: Answer, folder: Path, stack: Stack) -> Segmentation:
    """Raises SourceError where the outline does not lie in the stack, or has nothing in it."""
    labels = _labels(answer.outline, stack)
    named = {name: value for name, value in list(answer.values.items())[1:] if (labels == value).any()}
    if not named:
        raise SourceError("outlines nothing: no voxel is of any class but the first, and there is nothing to send")
    images = _images(folder, stack)
    masks = np.stack([labels == value for value in named.values()], axis=-1).astype(np.uint8)
    if len(images) == 1:
        masks = _in_file_order(masks, stack, int(images[0].NumberOfFrames))
    seed = [images[0].SeriesInstanceUID, answer.model_sha256, sha256(masks.tobytes()).hexdigest(), *named]
    with quiet():
        return Segmentation(
            images,
            masks,
            "BINARY",
            [_described(number, name, answer) for number, name in enumerate(named, start=1)],
            series_instance_uid=str(generate_uid(entropy_srcs=[*seed, "series"])),
            series_number=SERIES_NUMBER,
            sop_instance_uid=str(generate_uid(entropy_srcs=[*seed, "instance"])),
            instance_number=1,
            manufacturer="Wardround",
            manufacturer_model_name="Wardround",
            software_versions=version("wardround"),
            device_serial_number=answer.model_sha256[:16],
            content_label=RESEARCH,
            content_description=DESCRIPTION,
            content_creator_name="Wardround",
            transfer_syntax_uid=ExplicitVRLittleEndian,
            series_description=f"RESEARCH {_ascii(answer.title) or 'outline'}"[:LONGEST_LABEL],
        )


def _labels(path: Path, stack: Stack) -> NDArray[np.int64]:
    """(slices, rows, columns) of the file, which must lie where the stack does."""
    image = read_nifti(path, MOST_VOXELS)
    if image.shape != stack.shape:
        raise SourceError(f"has an outline of {image.shape} voxels, and its series {stack.shape}")
    if not np.allclose(image.affine, stack.affine, atol=AFFINE_TOLERANCE_MM):
        raise SourceError(
            "has an outline that lies elsewhere than its series, as where slices of a tilted gantry were moved"
        )
    return np.asarray(image.dataobj).astype(np.int64).transpose(2, 1, 0)


def _images(folder: Path, stack: Stack) -> list[Any]:
    """Data sets of the stack: one a slice, in order, or one of many frames."""
    names = list(dict.fromkeys(frame.name for frame in stack.frames))
    if len(names) not in (1, len(stack.frames)):
        raise SourceError("has slices in several files of many frames, which no segmentation can refer to as one")
    return [read_dataset(folder, name, pixels=True) for name in names]


def _in_file_order(masks: NDArray[np.uint8], stack: Stack, frames: int) -> NDArray[np.uint8]:
    """Of a file of many frames: a mask a frame, as the file has them."""
    if frames != len(stack.frames):
        raise SourceError(f"is {len(stack.frames)} of the {frames} frames of its file, and not all of them")
    placed = np.empty_like(masks)
    placed[[frame.index for frame in stack.frames]] = masks
    return placed


def _described(number: int, name: str, answer: Answer) -> SegmentDescription:
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="Wardround",
        family=codes.DCM.ArtificialIntelligence,
        version=version("wardround"),
        source="Wardround",
        parameters={"model_sha256": answer.model_sha256, "study": _ascii(answer.title)[:LONGEST_LABEL]},
    )
    return SegmentDescription(
        segment_number=number,
        segment_label=name[:LONGEST_LABEL],
        segmented_property_category=codes.SCT.Tissue,
        segmented_property_type=codes.SCT.Tissue,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
    )


def _ascii(text: str) -> str:
    return "".join(one if one.isascii() and one.isprintable() and one not in "\\=;" else "-" for one in text)
