"""Boundary IoU: the IoU of two bands along the outlines (Cheng et al. 2021, CVPR, equation 2).

A band is what of a mask is nearer to a voxel of its own border than a width: of a large structure, whose IoU hardly
sees its outline, it is the outline that counts. Borders are those of `common.metrics.borders`, distances in mm from
middle to middle of voxels, so that with voxels of 1 mm it is MetricsReloaded's `boundary_iou`; a width up to the
voxel's size is the border itself. NaN where both masks are empty, 0 where one is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from common.errors import ImageError
from common.metrics.borders import border
from common.metrics.doors import as_number, as_spacing_mm
from common.metrics.maps import Mask, as_mask
from common.metrics.merged import UNITS_A_VOXEL
from common.sums.mean import Mean


def boundary_iou(
    truth: Mask, prediction: Mask, spacing_mm: float | Sequence[float] | None = None, width_mm: float = 1.0
) -> float:
    """Of two masks of one shape; what is not 0 is in the mask.

    spacing_mm: one number an axis, or one for all; 1 mm if not given. Raises ImageError where
    shapes, spacing or width do not fit.
    """
    both, either = band_counts(truth, prediction, spacing_mm, width_mm)
    return both / either if either else math.nan


def boundary_statistics(
    truth: Mask, prediction: Mask, spacing_mm: float | Sequence[float] | None = None, width_mm: float = 1.0
) -> dict[str, Mean]:
    """boundary_iou as a mean over voxels of both bands, which merges over patients and hospitals."""
    both, either = band_counts(truth, prediction, spacing_mm, width_mm)
    return {"boundary_iou": Mean(both * UNITS_A_VOXEL, either * UNITS_A_VOXEL)}


def band_counts(
    truth: Mask, prediction: Mask, spacing_mm: float | Sequence[float] | None, width_mm: float
) -> tuple[int, int]:
    """Voxels in both bands, and in either. Raises as `boundary_iou`."""
    true, predicted = as_mask(truth, "the truth"), as_mask(prediction, "the prediction")
    if true.shape != predicted.shape:
        raise ImageError(f"truth {true.shape} and prediction {predicted.shape} must be masks of one shape.")
    spacing, width = as_spacing_mm(spacing_mm, true.shape), as_number(width_mm, "width_mm", least=0.0, unit="mm")
    one, other = (_band(mask, spacing, width) for mask in (true, predicted))
    return int(np.count_nonzero(one & other)), int(np.count_nonzero(one | other))


def _band(mask: Mask, spacing_mm: tuple[float, ...], width_mm: float) -> Mask:
    from scipy.ndimage import distance_transform_edt

    edge = border(mask)
    if not edge.any() or width_mm <= min(spacing_mm):
        return edge
    distances = np.asarray(distance_transform_edt(~edge, sampling=spacing_mm))
    return np.asarray(mask & (distances < width_mm))
