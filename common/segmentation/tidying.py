"""What is done to an outline afterwards: its largest part alone, and its holes filled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, label

from common.segmentation.region_growing import neighbourhood

Labels = NDArray[np.integer[Any]]


def largest_part(labels: Labels, connectivity: int | None = None) -> Labels:
    """Of every label but 0 the part of most voxels that hang together; of equal ones the first.

    Args:
        labels: (*S) whole numbers.
        connectivity: as of `common.segmentation.region_growing.grow`.

    Returns:
        (*S), 0 elsewhere.

    Raises:
        ImageError: another connectivity.
    """
    structure = neighbourhood(labels.shape, connectivity)
    kept = np.zeros_like(labels)
    for one in np.unique(labels[labels != 0]):
        parts, _ = label(labels == one, structure)
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        kept[parts == sizes.argmax()] = one
    return kept


def holes_filled(labels: Labels) -> Labels:
    """Background that a label encloses on all sides becomes that label's.

    In a volume a hole is closed above and below too; an axis of length 1 is no axis.

    Args:
        labels: (*S) whole numbers.

    Returns:
        (*S), of the same dtype.
    """
    filled = labels.copy()
    inner = filled.squeeze()
    if inner.ndim > 1:
        for one in np.unique(inner[inner != 0]):
            inner[binary_fill_holes(inner == one) & (inner == 0)] = one
    return filled
