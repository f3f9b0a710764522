"""Images in files of NIfTI, NumPy or HDF5, real or complex, and where their voxels lie if the file says so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.data.array_files import SUFFIXES as ARRAYS
from common.data.array_files import read_array, write_array
from common.data.geometry import Geometry
from common.data.image import SUFFIXES as NIFTI
from common.data.image import Image, as_plane, read_image, smallest_dtype, write_image
from common.data.nifti_files import write_beside
from common.errors import ImageError

SUFFIXES = (*NIFTI, *ARRAYS)
DIMENSIONS = (2, 3)


@dataclass(frozen=True, eq=False)
class Stored:
    """values: real or complex. geometry: of NIfTI; None of arrays. path: where it was read."""

    values: NDArray[Any]
    geometry: Geometry | None
    path: Path

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """() where it is not known."""
        return self.geometry.spacing_mm if self.geometry is not None else ()


def is_nifti(path: Path) -> bool:
    """By its name."""
    return path.name.endswith(NIFTI)


def read_stored(path: Path, dataset: str = "") -> Stored:
    """Any numbers; a lone axial slice of NIfTI is a plane. Raises ImageError or FileError, as what reads it does."""
    check_name(path)
    if is_nifti(path):
        image = as_plane(read_image(path))
        return Stored(image.values, image.geometry, path)
    return Stored(read_array(path, dataset), None, path)


def read_picture(path: Path, dataset: str = "") -> Stored:
    """The same, of two or three axes. Raises ImageError for others."""
    stored = read_stored(path, dataset)
    if stored.values.ndim not in DIMENSIONS:
        raise ImageError(f"{path.name} must hold an image of two or three axes; its shape is {stored.values.shape}.")
    return stored


def check_name(path: Path) -> None:
    """Raise ImageError where a name ends like none of the kinds."""
    if not path.name.endswith(SUFFIXES):
        raise ImageError(f"{path.name} must end with {', '.join(SUFFIXES)}.")


def write_picture(values: NDArray[Any], path: Path, like: Stored) -> None:
    """Write an image that covers the same space as `like`, in the kind that the name says.

    NIfTI takes place and unit as `like` has them stored, and of complex images the magnitude. Where the image has
    other sizes, its voxels divide the same space. Raises ImageError or FileError.
    """
    check_name(path)
    if not is_nifti(path):
        write_array(values, path)
        return
    real = (np.abs(values) if values.dtype.kind == "c" else values).astype(np.float32)
    if like.geometry is None:
        write_image(Image(real, Geometry.of(real.shape)), path)
    elif real.shape == like.geometry.shape:
        # a plane may be stored as a volume of one slice
        write_beside(real.reshape(_stored_shape(like.path, real.shape)), like.path, path, "reconstruction")
    else:
        write_image(Image(real, like.geometry.resized(real.shape)), path)


def write_labels(labels: Image, path: Path, like: Path) -> None:
    """Write a label map that was made of the image in the file `like`, in as few bytes as its numbers need.

    NIfTI of NIfTI lies where `like` says, in its unit. Raises ImageError or FileError.
    """
    check_name(path)
    values = labels.values.astype(smallest_dtype(labels.values))
    if not is_nifti(path):
        write_array(values, path)
    elif is_nifti(like):
        write_beside(values, like, path, "segmentation")
    else:
        write_image(Image(values, labels.geometry), path)


def _stored_shape(path: Path, shape: tuple[int, ...]) -> tuple[int, ...]:
    held = read_image(path).geometry.shape
    return held if int(np.prod(held)) == int(np.prod(shape)) else shape
