"""The same space with voxels of another size."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from common.data.geometry import Geometry
from common.errors import ImageError

MOST_VOXELS = 1 << 30


def respaced(geometry: Geometry, spacing_mm: ArrayLike) -> Geometry:
    """Sizes are rounded, so that the lattice covers the same space; spacing_mm: a number, or one an axis.

    Raises ImageError for spacings that are not above 0, for another number of them, and for too many voxels.
    """
    given = np.asarray(spacing_mm, np.float64)
    if given.shape not in ((), (1,), (geometry.dimensions,)) or not (np.isfinite(given) & (given > 0)).all():
        raise ImageError(f"spacing_mm must be above 0, one number or {geometry.dimensions}; it is {given.tolist()}.")
    lengths = np.array(geometry.shape) * np.array(geometry.spacing_mm)
    sizes = np.maximum(1, np.rint(lengths / given))
    if sizes.prod() > MOST_VOXELS:
        raise ImageError(f"a spacing of {given.tolist()} mm makes more than {MOST_VOXELS} voxels of this image.")
    return geometry.resized(tuple(map(int, sizes)))
