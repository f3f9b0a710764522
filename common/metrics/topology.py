"""Betti numbers: pieces, tunnels and cavities of a mask, and how far a prediction's are off.

b0 counts connected components; b1 holes in 2D, tunnels in 3D; b2 cavities, in 3D alone. Components of the background
that do not reach the outside are counted under the dual connectivity, faces where the mask's is corners and the other
way round; in 3D b1 follows from the Euler characteristic, b0 - b1 + b2 (Kong and Rosenfeld 1989, Digital topology).
That is scikit-image's `euler_number` with connectivity 1 (faces) and the number of axes (corners).
"""

from __future__ import annotations

from itertools import product

import numpy as np

from common.errors import ImageError
from common.metrics.instances import Connectivity, structure
from common.metrics.maps import Mask, as_mask, flattened

DIMENSIONS = (1, 2, 3)

Betti = tuple[int, int, int]


def betti_numbers(mask: Mask, connectivity: Connectivity = "corners") -> Betti:
    """(b0, b1, b2) of a mask of 1 to 3 axes of several voxels; what is not 0 is in it; (0, 0, 0) where it is empty.

    connectivity: "corners" (8 in 2D, 26 in 3D) or "faces" (4, 6). Raises ImageError for more axes,
    UnknownNameError for another word.
    """
    plane = _padded(mask)
    pieces = _components(plane, connectivity)
    holes = _components(~plane, "faces" if connectivity == "corners" else "corners") - 1
    if plane.ndim == 1:
        return pieces, 0, 0
    if plane.ndim == 2:
        return pieces, holes, 0
    return pieces, pieces + holes - _euler(plane, connectivity), holes


def betti_errors(truth: Mask, prediction: Mask, connectivity: Connectivity = "corners") -> Betti:
    """|b_k of the prediction - b_k of the truth| for k = 0, 1, 2. An empty mask has none of anything."""
    true, predicted = betti_numbers(truth, connectivity), betti_numbers(prediction, connectivity)
    first, second, third = (abs(one - other) for one, other in zip(true, predicted, strict=True))
    return first, second, third


def euler_characteristic(mask: Mask, connectivity: Connectivity = "corners") -> int:
    """b0 - b1 + b2, by counting cells of all dimensions of voxels that are closed ("corners") or open ("faces")."""
    return _euler(_padded(mask), connectivity)


def _padded(mask: Mask) -> Mask:
    plane = flattened(as_mask(mask))
    if plane.ndim not in DIMENSIONS:
        raise ImageError(f"Betti numbers are of masks with 1 to 3 axes of several voxels; this one has {plane.ndim}.")
    return np.pad(plane, 1)


def _components(mask: Mask, connectivity: Connectivity) -> int:
    from scipy.ndimage import label

    return int(label(mask, structure(mask.ndim, connectivity))[1])


def _euler(padded: Mask, connectivity: Connectivity) -> int:
    """Cells that any of the voxels around them holds, or that all of them do; vertices count 1, edges -1, ...

    "corners": a cell of dimension k is held where any of its 2^(n - k) voxels is in the mask; "faces": the dual cell
    of dimension k, where all of its 2^k voxels are.
    """
    total = 0
    for axes in product((False, True), repeat=padded.ndim):
        cells = padded
        for axis, spans in enumerate(axes):
            if spans:
                before, after = (cells[(slice(None),) * axis + (cut,)] for cut in (slice(None, -1), slice(1, None)))
                cells = np.asarray(before | after if connectivity == "corners" else before & after)
        dimension = padded.ndim - sum(axes) if connectivity == "corners" else sum(axes)
        total += (-1) ** dimension * int(np.count_nonzero(cells))
    return total
