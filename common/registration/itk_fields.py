"""Displacement fields of ITK as NIfTI files of vectors: X x Y x Z x 1 x 3 in LPS mm, or X x Y x 1 x 1 x 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch

from common.data.geometry import Geometry
from common.data.image import MOST_VOXELS
from common.data.nifti_files import UNREADABLE, read_nifti, write_nifti
from common.errors import FileError, ImageError
from common.registration.displacement import DisplacementField
from common.registration.itk_records import signs

VECTOR_INTENT = 1007
"""What ITK asks for; ANTs and others write 1006, displacements, as well."""


def write_field(field: DisplacementField, path: Path) -> None:
    """float32 in LPS mm with the vector intent, as ITK writes it."""
    size = field.dimensions
    vectors = np.moveaxis(field.vectors.detach().numpy(), 0, -1) * signs(size)
    shape = (*field.geometry.shape, *[1] * (4 - size), size)
    affine = np.eye(4)
    rows = (0, 1, 3) if size == 2 else (0, 1, 2, 3)
    affine[np.ix_(rows, rows)] = field.geometry.affine
    file: Any = nib.Nifti1Image(vectors.astype(np.float32).reshape(shape), affine)  # type: ignore[no-untyped-call]
    file.header.set_intent(VECTOR_INTENT)
    file.header.set_xyzt_units("mm")
    write_nifti(file, path)


def read_field(path: Path) -> DisplacementField:
    """Raises ImageError where the file is absent, broken, or no field."""
    try:
        file = read_nifti(path, 3 * MOST_VOXELS, of_lengths=True)
        shape, affine = tuple(map(int, file.shape)), np.asarray(file.affine, np.float64)
        values = np.asarray(file.dataobj, dtype=np.float64)
    except FileError as error:
        raise ImageError(str(error)) from error
    except UNREADABLE as error:
        raise ImageError(f"{path} is not a readable NIfTI file.") from error
    size = shape[-1] if len(shape) == 5 else 0
    if size not in (2, 3) or shape[3] != 1 or (size == 2 and shape[2] != 1):
        raise ImageError(f"{path} must hold vectors, X x Y x Z x 1 x 3 or X x Y x 1 x 1 x 2; it is {shape}.")
    vectors = values.reshape(*shape[:size], size) * signs(size)
    rows = (0, 1, 3) if size == 2 else (0, 1, 2, 3)
    geometry = Geometry(shape[:size], affine[np.ix_(rows, rows)])
    return DisplacementField(torch.from_numpy(np.moveaxis(vectors, -1, 0).copy()), geometry)
