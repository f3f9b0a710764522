"""An image: numbers, and where they lie; read from and written to NIfTI."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from common.data.geometry import Geometry, Matrix
from common.data.nifti_files import UNREADABLE, read_nifti, write_nifti
from common.errors import FileError, ImageError

MOST_VOXELS = 1 << 30
LARGEST_EXACT = 1 << 53
ROUNDING = 1e-6
SUFFIXES = (".nii", ".nii.gz")


@dataclass(frozen=True, eq=False)
class Image:
    """values: an array of the geometry's shape, of any dtype. Raises ImageError where the shapes differ."""

    values: NDArray[Any]
    geometry: Geometry

    def __post_init__(self) -> None:
        if not isinstance(self.values, np.ndarray):
            raise ImageError(f"values of an image must be an array; they are of type {type(self.values).__name__}.")
        if self.values.shape != self.geometry.shape:
            raise ImageError(f"values are {self.values.shape} and the geometry is {self.geometry.shape}.")


def read_image(path: Path) -> Image:
    """A 2D or 3D NIfTI file, as stored: axes are not turned, the affine says where they point. values: float64.

    The affine is in mm, whatever unit the file counts in. Later axes must be of length 1: (X, Y, Z, 1) is read as
    (X, Y, Z). A 3D file with one slice along its last axis stays 3D, and a 2D file whose plane is not axial becomes
    such a slice, for in 2D its voxels would shrink. Raises ImageError for what is absent, broken, not finite, or of
    other dimensions.
    """
    if not path.is_file():
        raise ImageError(f"there is no file {path}.")
    try:
        file = read_nifti(path, MOST_VOXELS)
    except FileError as error:
        raise ImageError(str(error)) from error
    shape, affine = tuple(map(int, file.shape)), np.asarray(file.affine, np.float64)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) not in (2, 3) or not 0 < prod(shape) <= MOST_VOXELS:
        raise ImageError(f"{path} must have 2 or 3 axes and at most {MOST_VOXELS} voxels; its shape is {shape}.")
    values = _values(file, path).reshape(shape)
    if len(shape) == 3:
        return Image(values, Geometry(shape, affine))
    if _is_axial(affine):
        return Image(values, Geometry(shape, affine[np.ix_((0, 1, 3), (0, 1, 3))]))
    return Image(values[..., None], Geometry((*shape, 1), affine))


def as_plane(image: Image) -> Image:
    """A lone axial slice, (X, Y, 1), as the 2D image (X, Y); any other image as it is."""
    geometry = image.geometry
    if geometry.dimensions == 2 or geometry.shape[2] != 1 or not _is_axial(geometry.affine):
        return image
    return Image(image.values[..., 0], Geometry(geometry.shape[:2], geometry.affine[np.ix_((0, 1, 3), (0, 1, 3))]))


def read_labels(path: Path) -> Image:
    """As read_image, for whole numbers; values: int64. Raises ImageError where a value is not whole."""
    image = read_image(path)
    whole = np.rint(image.values)
    if not np.array_equal(whole, image.values) or np.abs(whole).max() > LARGEST_EXACT:
        raise ImageError(f"{path} must hold labels, whole numbers; it holds others.")
    return Image(whole.astype(np.int64), image.geometry)


def write_image(image: Image, path: Path) -> None:
    """Write NIfTI; the name must end with .nii or .nii.gz. bool is written as uint8 and float64 as float32."""
    if not path.name.endswith(SUFFIXES):
        raise ImageError(f"{path.name} must end with .nii or .nii.gz.")
    values = image.values
    stored = {"b": np.uint8, "f": np.float32, "i": smallest_dtype(values)}.get(values.dtype.kind, values.dtype)
    affine = np.eye(4)
    rows = (0, 1, 3) if values.ndim == 2 else (0, 1, 2, 3)
    affine[np.ix_(rows, rows)] = image.geometry.affine
    file: Any = nib.Nifti1Image(values.astype(stored), affine, dtype=stored)  # type: ignore[no-untyped-call]
    file.header.set_xyzt_units("mm")
    write_nifti(file, path)


def _is_axial(affine: Matrix) -> bool:
    """Whether the first two axes of a (4, 4) affine run within the axial plane."""
    lengths = np.linalg.norm(affine[:3, :2], axis=0)
    return bool((np.abs(affine[2, :2]) <= ROUNDING * lengths).all())


def _values(file: Any, path: Path) -> NDArray[np.float64]:
    if file.get_data_dtype().kind not in "iuf":
        raise ImageError(f"{path} holds something else than whole or real numbers.")
    try:
        with np.errstate(all="ignore"):
            values = np.asarray(file.dataobj, dtype=np.float64)
    except UNREADABLE as error:
        raise ImageError(f"{path} ends before its header says so.") from error
    if not np.isfinite(values).all():
        raise ImageError(f"{path} holds values that are not finite.")
    return values


def smallest_dtype(values: NDArray[Any]) -> Any:
    """Of uint8, int16, int32 and int64 the first that holds whole numbers; uint8 for all that are none."""
    low, high = (int(values.min()), int(values.max())) if values.dtype.kind == "i" else (0, 0)
    return next((kind for kind in (np.uint8, np.int16, np.int32) if _fits(low, high, kind)), np.int64)


def _fits(low: int, high: int, kind: type[np.integer[Any]]) -> bool:
    return bool(np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
