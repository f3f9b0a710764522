"""Volumes over time: four axes in one NIfTI file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from common.data.geometry import Geometry
from common.data.image import MOST_VOXELS, SUFFIXES, Image
from common.data.nifti_files import UNREADABLE, read_nifti, write_nifti
from common.errors import FileError, ImageError

TIME_UNITS_S = {8: 1.0, 16: 1e-3, 24: 1e-6}
"""Of NIfTI's codes: seconds, milliseconds, microseconds."""


@dataclass(frozen=True, eq=False)
class Series:
    """values: (T, *shape) real numbers. step_s: seconds between volumes, 0 where the file does not say."""

    values: NDArray[Any]
    geometry: Geometry
    step_s: float = 0.0

    def __post_init__(self) -> None:
        if self.values.shape[1:] != self.geometry.shape or not len(self.values):
            raise ImageError(f"a series is (T, *{self.geometry.shape}); it is {self.values.shape}.")

    @property
    def volumes(self) -> Sequence[Image]:
        """One an instant."""
        return [Image(values, self.geometry) for values in self.values]


def read_series(path: Path) -> Series:
    """(X, Y, Z, T) of a NIfTI file with two volumes at least, as float32.

    Raises ImageError for what is absent, broken, not finite, or has other axes.
    """
    if not path.is_file():
        raise ImageError(f"there is no file {path}.")
    try:
        file = read_nifti(path, MOST_VOXELS)
        values = np.asarray(file.dataobj, np.float32)
    except FileError as error:
        raise ImageError(str(error)) from error
    except UNREADABLE as error:
        raise ImageError(f"{path} is not a readable NIfTI file.") from error
    if values.ndim != 4 or values.shape[3] < 2:
        raise ImageError(f"{path} must hold a series, X x Y x Z x T with two volumes at least; it is {values.shape}.")
    if not np.isfinite(values).all():
        raise ImageError(f"{path} holds values that are not finite.")
    unit = TIME_UNITS_S.get(int(file.header["xyzt_units"]) & 0x38, 0.0)
    step = max(0.0, unit * float(file.header["pixdim"][4]))
    geometry = Geometry(values.shape[:3], np.asarray(file.affine, np.float64))
    return Series(np.moveaxis(values, 3, 0), geometry, step)


def write_series(series: Series, path: Path) -> None:
    """As NIfTI, X x Y x Z x T in mm and seconds; whole numbers stay whole, others are float32."""
    if not path.name.endswith(SUFFIXES):
        raise ImageError(f"{path.name} must end with {' or '.join(SUFFIXES)}.")
    kept = series.values if series.values.dtype.kind in "iu" else series.values.astype(np.float32)
    values = np.moveaxis(kept, 0, -1)
    file: Any = nib.Nifti1Image(values, series.geometry.affine, dtype=values.dtype)  # type: ignore[no-untyped-call]
    file.header.set_xyzt_units("mm", "sec")
    file.header["pixdim"][4] = series.step_s
    write_nifti(file, path)
