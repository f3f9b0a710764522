"""Region growing: all that hangs together with a seed and is like it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import generate_binary_structure, label

from common.errors import ImageError
from common.metrics.doors import shown
from common.metrics.maps import as_array, as_labels
from common.segmentation.threshold import between

CONNECTIVITIES = {2: {4: 1, 8: 2}, 3: {6: 1, 18: 2, 26: 3}}
"""Number of neighbours, by number of axes, and along how many axes a neighbour may lie off."""


def grow(
    values: NDArray[np.floating],
    seeds: Sequence[tuple[int, ...]],
    lower: float,
    upper: float,
    connectivity: int | None = None,
) -> NDArray[np.bool_]:
    """(*S) voxels within [lower, upper] that a chain of such voxels joins to a seed (Adams and Bischof 1994).

    values: 2D or 3D. seeds: voxel indices; one outside the interval grows nothing. connectivity: 4 or 8 neighbours
    in 2D, 6, 18 or 26 in 3D; the least by default. Raises ImageError for other connectivities and seeds outside.
    """
    values = as_array(values, "the image")
    known = CONNECTIVITIES.get(values.ndim)
    if known is None:
        raise ImageError(f"region growing needs 2D or 3D values; they have {values.ndim} axes.")
    neighbours = min(known) if connectivity is None else connectivity
    if isinstance(neighbours, bool) or not isinstance(neighbours, (int, np.integer)) or neighbours not in known:
        raise ImageError(f"in {values.ndim}D connectivity is one of {sorted(known)}; it is {shown(connectivity)}.")
    places = _checked(seeds, values.shape)
    parts, _ = label(between(values, lower, upper), generate_binary_structure(values.ndim, known[neighbours]))
    wanted = np.unique(parts[tuple(places.T)])
    chosen = np.zeros(int(parts.max()) + 1, np.bool_)
    chosen[wanted] = True
    chosen[0] = False
    return np.asarray(chosen[parts])


def _checked(seeds: Sequence[tuple[int, ...]], shape: tuple[int, ...]) -> NDArray[np.int64]:
    given = as_labels(list(seeds) if isinstance(seeds, Iterable) and getattr(seeds, "ndim", True) else seeds, "seeds")
    if given.size and (given.ndim != 2 or given.shape[1] != len(shape)):
        raise ImageError(f"seeds must be (N, {len(shape)}) whole numbers; their shape is {given.shape}.")
    places = np.asarray(given, np.int64).reshape(-1, len(shape))
    outside = [tuple(map(int, place)) for place in places if not ((place >= 0) & (place < shape)).all()]
    if outside or not len(places):
        raise ImageError(f"seeds must lie in the image of shape {shape}; {outside or 'none'} came.")
    return places
