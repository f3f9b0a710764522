"""Figures of one mask against another, as a person at a prompt asks for them: arrays in, one number out.

What is not 0 is in a mask, whatever its dtype. NaN: neither mask holds anything; distances are infinite, and overlaps
0, where one alone does. Label maps, label by label, are `wardround.imaging.measure`'s.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from common.errors import ImageError
from common.metrics.doors import as_spacing_mm
from common.metrics.maps import Mask, as_mask
from common.metrics.surface import SurfaceDistances


def dice(prediction: ArrayLike, truth: ArrayLike) -> float:
    """2 |A n B| / (|A| + |B|). Raises ImageError where shapes differ, or one holds no numbers."""
    predicted, true = _pair(prediction, truth)
    return _ratio(2 * _count(predicted & true), _count(predicted) + _count(true))


def jaccard(prediction: ArrayLike, truth: ArrayLike) -> float:
    """|A n B| / |A u B|. Raises ImageError where shapes differ, or one holds no numbers."""
    predicted, true = _pair(prediction, truth)
    return _ratio(_count(predicted & true), _count(predicted | true))


def hausdorff(
    prediction: ArrayLike, truth: ArrayLike, spacing_mm: float | Sequence[float] = 1.0, percent: float = 100.0
) -> float:
    """Largest distance in mm between border voxels, or a percentile of it, the larger of both directions.

    Args:
        prediction: the mask that is judged; what is not 0 is in it.
        truth: the mask that it is judged by, of the same shape.
        spacing_mm: of voxels; one number, or one an axis.
        percent: 100 for the largest, 95 for HD95.

    Returns:
        Millimetres.

    Raises:
        ImageError: where shapes or spacing do not fit.
    """
    distances = _distances(prediction, truth, spacing_mm)
    return distances.hausdorff_mm if percent == 100 else distances.hausdorff_percentile_mm(percent)


def assd(prediction: ArrayLike, truth: ArrayLike, spacing_mm: float | Sequence[float] = 1.0) -> float:
    """Average symmetric surface distance in mm, of border voxels. Raises ImageError as `hausdorff` does."""
    return _distances(prediction, truth, spacing_mm).average_symmetric_mm


def surface_dice(
    prediction: ArrayLike, truth: ArrayLike, tolerance_mm: float, spacing_mm: float | Sequence[float] = 1.0
) -> float:
    """Share of both borders within the tolerance of the other. Raises ImageError as `hausdorff` does."""
    return _distances(prediction, truth, spacing_mm).surface_dice(tolerance_mm)


def _pair(prediction: ArrayLike, truth: ArrayLike) -> tuple[Mask, Mask]:
    predicted, true = as_mask(prediction, "the prediction"), as_mask(truth, "the truth")
    if predicted.shape != true.shape:
        raise ImageError(f"prediction {predicted.shape} and truth {true.shape} must be masks of one shape.")
    return predicted, true


def _distances(prediction: ArrayLike, truth: ArrayLike, spacing_mm: float | Sequence[float]) -> SurfaceDistances:
    predicted, true = _pair(prediction, truth)
    return SurfaceDistances.of(true, predicted, as_spacing_mm(spacing_mm, true.shape))


def _count(mask: Mask) -> int:
    return int(np.count_nonzero(mask))


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
