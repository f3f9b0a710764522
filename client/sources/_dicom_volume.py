"""Arrays that lie anywhere as a volume whose axes point towards right, front and top."""

from __future__ import annotations

from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from client.sources._nifti_volume import Volume


def turned(
    image: NDArray[np.float32], labels: NDArray[np.uint8], affine: NDArray[np.float64], classes: int
) -> Volume:
    """image, labels: (columns, rows, slices). affine: (4, 4), from them to mm in RAS. Axes are swapped and flipped,
    to the nearest of right, front and top; no value is interpolated.
    """
    orientations: Any = nib.orientations
    turn = orientations.io_orientation(affine)
    placed = affine @ orientations.inv_ornt_aff(turn, image.shape)
    first, second = (np.ascontiguousarray(orientations.apply_orientation(one, turn)) for one in (image, labels))
    return Volume((first,), second, np.asarray(placed, np.float64), np.zeros(classes, np.int64))
