"""A NIfTI image and its labels as arrays in one orientation (RAS), checked against each other."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.orientations import OrientationError
from numpy.typing import NDArray

from common.errors import FileError, SourceError
from common.nifti_files import UNREADABLE, read_nifti

AFFINE_TOLERANCE_MM = 1e-3
MOST_VOXELS = 1 << 28


@dataclass(frozen=True)
class Volume:
    """image: (X, Y, Z) float32; labels: the same shape, uint8; axes towards right, front and top. spacing_mm: 3."""

    image: NDArray[np.float32]
    labels: NDArray[np.uint8]
    spacing_mm: tuple[float, float, float]


def read_volume(image_path: Path, labels_path: Path, classes: int) -> Volume:
    """Read and check. Raises SourceError that names the failed check, never a value of the image."""
    image, labels = _canonical(image_path), _canonical(labels_path)
    if image.shape != labels.shape or len(image.shape) != 3:
        raise SourceError(f"the image is {image.shape} and its labels are {labels.shape}")
    if not 0 < prod(image.shape) <= MOST_VOXELS:
        raise SourceError(f"a volume must have from 1 to {MOST_VOXELS} voxels; this is {image.shape}")
    if not np.allclose(image.affine, labels.affine, atol=AFFINE_TOLERANCE_MM):
        raise SourceError("the image and its labels lie in different places (their affines differ)")
    intensities, classes_found = _values(image).astype(np.float32), _values(labels)
    if not np.isfinite(intensities).all():
        raise SourceError("the image holds values that are not finite")
    if not np.isin(classes_found, np.arange(classes)).all():
        raise SourceError(f"labels must be whole numbers from 0 to {classes - 1}")
    x, y, z = map(float, np.linalg.norm(image.affine[:3, :3], axis=0))
    return Volume(intensities, classes_found.astype(np.uint8), (x, y, z))


def _canonical(path: Path) -> Any:
    if not path.is_file():
        raise SourceError(f"there is no {path.parent.name}/{path.name}")
    try:
        image = read_nifti(path, MOST_VOXELS)
        return nib.as_closest_canonical(image)  # type: ignore[no-untyped-call]
    except FileError as error:
        raise SourceError(f"{path.parent.name}/{path.name} {error.reason}") from error
    except (*UNREADABLE, OrientationError) as error:
        raise SourceError(f"{path.parent.name}/{path.name} is not a readable NIfTI file") from error


def _values(image: Any) -> NDArray[np.float64]:
    if image.get_data_dtype().kind not in "iuf":
        raise SourceError("a file holds something else than whole or real numbers")
    try:
        with np.errstate(all="ignore"):
            return np.asarray(image.dataobj, dtype=np.float64)
    except UNREADABLE as error:
        raise SourceError("a file ends before its header says so") from error
