"""Region growing: all that hangs together with a seed and is like it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import generate_binary_structure, label

from common.errors import ImageError
from common.segmentation.doors import real_values, whole_number
from common.segmentation.threshold import Values, between

CONNECTIVITIES = {2: {4: 1, 8: 2}, 3: {6: 1, 18: 2, 26: 3}}
"""Number of neighbours, by number of axes, and along how many axes a neighbour may lie off."""


def grow(
    values: Values,
    seeds: Sequence[Sequence[int]] | NDArray[np.integer],
    lower: float,
    upper: float,
    connectivity: int | None = None,
) -> NDArray[np.bool_]:
    """(*S) voxels within [lower, upper] that a chain of such voxels joins to a seed (Adams and Bischof 1994).

    values: 2D or 3D, of every real dtype; NaN lies in no interval. seeds: voxel indices; one outside the interval
    grows nothing. connectivity: 4 or 8 neighbours in 2D, 6, 18 or 26 in 3D, either in a lone slice of a volume; the
    least by default. Raises ImageError for other connectivities, for seeds outside and for those that are no voxels.
    """
    given = real_values(values)
    structure = neighbourhood(given.shape, connectivity)
    places = seed_places(seeds, given.shape)
    parts, _ = label(between(given, lower, upper), structure)
    wanted = np.unique(parts[tuple(places.T)])
    chosen = np.zeros(int(parts.max()) + 1, np.bool_)
    chosen[wanted] = True
    chosen[0] = False
    return np.asarray(chosen[parts])


def neighbourhood(shape: tuple[int, ...], connectivity: int | None = None) -> NDArray[np.bool_]:
    """(3, ...) which neighbours hang together. connectivity: as in `grow`. Raises ImageError for others."""
    known = CONNECTIVITIES.get(len(shape))
    if known is None:
        raise ImageError(f"the image needs two or three axes; it has {len(shape)}.")
    if sum(size > 1 for size in shape) < len(shape):
        known = {**CONNECTIVITIES[2], **known}
    neighbours = min(known) if connectivity is None else whole_number("connectivity", connectivity, 1)
    if neighbours not in known:
        raise ImageError(f"in {len(shape)}D connectivity is one of {sorted(known)}; it is {connectivity}.")
    return np.asarray(generate_binary_structure(len(shape), known[neighbours]))


def seed_places(seeds: object, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """(N, D) voxel indices of seeds, N above 0. Raises ImageError where one is no voxel of an image of `shape`."""
    try:
        places = np.asarray(seeds if isinstance(seeds, np.ndarray) else [*seeds])  # type: ignore[misc]
    except (TypeError, ValueError) as error:
        raise ImageError(f"seeds must be voxels, {len(shape)} indices each; {seeds!r} came.") from error
    if not places.size:
        raise ImageError(f"seeds must lie in the image of shape {shape}; none came.")
    if places.ndim == 1:
        places = places[None]
    if places.ndim != 2 or places.shape[1] != len(shape) or places.dtype.kind not in "iu":
        raise ImageError(f"seeds must be voxels, {len(shape)} whole numbers each; {seeds!r} came.")
    outside = [tuple(map(int, place)) for place in places if not ((place >= 0) & (place < shape)).all()]
    if outside:
        raise ImageError(f"seeds must lie in the image of shape {shape}; {outside} came.")
    return places.astype(np.int64)
