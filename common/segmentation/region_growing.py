"""Region growing: all that hangs together with a seed and is like it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import generate_binary_structure, label

from common.errors import ImageError
from common.metrics.maps import as_array
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
    """Voxels within [lower, upper] that a chain of such voxels joins to a seed (Adams and Bischof 1994).

    Args:
        values: (*S) of 2 or 3 axes and every real dtype; NaN lies in no interval.
        seeds: (n, axes) voxel indices; one outside the interval grows nothing.
        lower: the least that counts.
        upper: the largest.
        connectivity: 4 or 8 neighbours in 2D, 6, 18 or 26 in 3D, either in a lone slice of a volume; the least by
            default.

    Returns:
        (*S) bool.

    Raises:
        ImageError: another connectivity, or seeds outside of the image or that are no voxels.
    """
    given = as_array(values, "the image", may_be_nan=True)
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
    neighbours = min(known) if connectivity is None else connectivity
    if isinstance(neighbours, bool) or not isinstance(neighbours, (int, np.integer)) or neighbours not in known:
        raise ImageError(f"in {len(shape)}D connectivity is one of {sorted(known)}; it is {connectivity!r}.")
    return np.asarray(generate_binary_structure(len(shape), known[neighbours]))


def seed_places(seeds: object, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """(N, D) voxel indices of seeds, N above 0. Raises ImageError where one is no voxel of an image of `shape`."""
    said = f"seeds must be (N, {len(shape)}) whole numbers, a voxel each; {seeds!r} came."
    try:
        given = seeds if isinstance(seeds, np.ndarray) else [*seeds]  # type: ignore[misc]
        places = np.asarray(given)
    except (TypeError, ValueError) as error:
        raise ImageError(said) from error
    if not places.size:
        raise ImageError(f"seeds must lie in the image of shape {shape}; none came.")
    if places.ndim == 1:
        places = places[None]
    if places.ndim != 2 or places.shape[1] != len(shape) or places.dtype.kind not in "iu" or _holds_bool(given):
        raise ImageError(said)
    outside = [tuple(map(int, place)) for place in places if not ((place >= 0) & (place < shape)).all()]
    if outside:
        raise ImageError(f"seeds must lie in the image of shape {shape}; {outside} came.")
    return places.astype(np.int64)


def _holds_bool(given: Any) -> bool:
    """Whether a list of seeds has True among its numbers, which NumPy would take for 1."""
    if isinstance(given, np.ndarray):
        return False
    return any(isinstance(index, (bool, np.bool_)) for seed in given for index in np.array(seed, object, ndmin=1))
