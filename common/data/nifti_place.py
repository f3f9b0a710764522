"""Where the voxels of a NIfTI file lie, in millimetres, whatever unit its header counts in.

The one place that reads units, so that no reader can forget them. A header says the place up to three times: sform, a
matrix; qform, a rotation with `pixdim`, the lengths of a voxel; `pixdim` alone. The first that is there counts, as in
the standard and in nibabel. What would have to be guessed is refused: a length of 0, below 0 or NaN ("not measured")
that counts, a unit that NIfTI does not know, and two places that disagree on how large a voxel is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import FileError

MM_A_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
"""By the code of NIfTI: unknown, which everybody takes for mm, metre, mm, micrometre."""
SPATIAL_BITS = 0x07
MM = 2
LARGEST_DISAGREEMENT = 0.01
"""Share of a voxel's length by which sform and qform may differ: rounding, not another size."""


def mm_a_unit(header: Any, path: Path) -> float:
    """How many mm are one of the header's units of length. Raises FileError for one that NIfTI does not know."""
    code = int(header["xyzt_units"]) & SPATIAL_BITS
    if code not in MM_A_UNIT:
        raise FileError(
            path, f"counts lengths in a unit of code {code}; NIfTI knows 1 (metre), 2 (mm) and 3 (micrometre)"
        )
    return MM_A_UNIT[code]


def check_lengths(header: Any, path: Path) -> None:
    """Raise FileError unless the header, as stored, says one length above 0 for each axis of several voxels."""
    axes = [axis for axis, size in enumerate(header.get_data_shape()[:3]) if size > 1]
    pixdim = np.array(header["pixdim"][1:4], np.float64)
    if not int(header["sform_code"]):
        for axis in axes:
            if not (np.isfinite(pixdim[axis]) and pixdim[axis] > 0):
                raise FileError(
                    path,
                    f"says that voxels are {pixdim[axis]:g} long along axis {axis + 1}, which is no length, and has "
                    f"no sform that says otherwise; set the header's pixdim, or its sform",
                )
        return
    lengths = np.linalg.norm(np.array([header[f"srow_{row}"][:3] for row in "xyz"], np.float64), axis=0)
    measured = [axis for axis in axes if pixdim[axis] > 0]
    doubtful = [axis for axis in measured if abs(lengths[axis] - pixdim[axis]) > LARGEST_DISAGREEMENT * lengths[axis]]
    if int(header["qform_code"]) and doubtful:
        raise FileError(
            path,
            f"says twice how large its voxels are, and not the same: {_spelled(lengths)} by its sform, "
            f"{_spelled(pixdim)} by its qform; remove the one that is wrong",
        )


def in_mm(image: Any, scale: float, path: Path) -> Any:
    """The image, its affine and header in mm. A lone slice without a thickness gets 1 mm: nothing lies across it.

    Units of time stay. Raises FileError for a place that is not finite, or an axis of several voxels without length.
    """
    affine = np.array(image.affine, np.float64)
    affine[:3] *= scale
    affine[:3, :3] = _with_thickness(affine[:3, :3], image.shape)
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or not lengths.all():
        raise FileError(path, "does not say where its voxels lie: its sform or qform has no length, or is not finite")
    if not np.array_equal(affine, image.affine):
        image = type(image)(image.dataobj, affine, image.header)
    header = image.header
    header["xyzt_units"] = (int(header["xyzt_units"]) & ~SPATIAL_BITS) | MM
    return image


def _with_thickness(axes: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """(3, 3), where the one axis of one voxel has no length, with a unit vector across the two others."""
    sizes = (*shape, 1, 1)[:3]
    lengths = np.linalg.norm(axes, axis=0)
    without = [axis for axis in range(3) if sizes[axis] == 1 and not 0 < lengths[axis] < np.inf]
    if len(without) != 1:
        return axes
    (axis,) = without
    normal = np.cross(axes[:, (axis + 1) % 3], axes[:, (axis + 2) % 3])
    length = float(np.linalg.norm(normal))
    filled = axes.copy()
    filled[:, axis] = normal / length if 0 < length < np.inf else 0.0
    return filled


def _spelled(lengths: NDArray[np.float64]) -> str:
    return " x ".join(f"{length:.4g}" for length in lengths)
