"""Where else one image would lie well on another without being turned, at all shifts at once by Fourier transforms.

For images that overlap little, and for those that repeat themselves. The correlation over what overlaps (Padfield
2012, with boxes as masks), of values and of slopes, is scored by what a line explains: n log 1 / (1 - r^2), so that
much of the image counts for more than a small piece that fits by chance.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import irfftn, next_fast_len, rfftn
from scipy.ndimage import maximum_filter

from common.data.geometry import Geometry
from common.registration.linear import Linear
from common.registration.objective import Pair
from common.registration.sampling import Sampler, lattice_points

LEAST_OVERLAP = 0.15
"""Of the smaller image."""
NEAREST_VOXELS = 2
FLATTEST = 1e-3
"""Of both images' variances, below which a piece has no structure."""
Values = NDArray[np.float32]


def shifts(pair: Pair, found: Linear, most: int) -> Iterator[tuple[Linear, float]]:
    """What was found after shifts of the fixed image, where that has a peak; and its score by that of no shift."""
    moving, there, low = _around(pair, found)
    if not there.any():
        return
    scores = _scores(np.ascontiguousarray(pair.fixed.values, np.float32), moving, there)
    places = np.meshgrid(*map(_signed, scores.shape, moving.shape), indexing="ij")
    steps = np.stack(places, axis=-1) + low
    still = float(scores[tuple(-low % scores.shape)])
    peaks = (scores > 0) & (scores == maximum_filter(scores, 3, mode="wrap"))
    peaks &= np.abs(steps).max(-1) >= NEAREST_VOXELS
    affine = pair.fixed.geometry.affine[:-1, :-1]
    for index in np.argsort(-scores[peaks], kind="stable")[:most]:
        step = Linear.of(np.eye(found.dimensions), affine @ steps[peaks][index])
        yield found.after(step), float(scores[peaks][index]) / max(still, 1e-9)


def _signed(size: int, ahead: int) -> NDArray[np.int64]:
    """Of a wrapped axis: which steps are ahead, and which behind."""
    steps = np.arange(size)
    return np.where(steps < ahead, steps, steps - size)


def _around(pair: Pair, found: Linear) -> tuple[Values, Values, NDArray[np.int64]]:
    """The moving image on the fixed lattice made wider, up to thrice; where it is there; and the low corner."""
    fixed, moving = pair.fixed.geometry, pair.moving.geometry
    ends = np.stack(np.meshgrid(*([-0.5, size - 0.5] for size in moving.shape)), axis=-1).reshape(
        -1, found.dimensions
    )
    corners = found.inverse().map_points(torch.from_numpy(moving.voxel_to_world(ends))).numpy()
    voxels, shape = fixed.world_to_voxel(corners), np.array(fixed.shape)
    low = np.clip(np.floor(voxels.min(0)), -shape, shape - 1).astype(np.int64)
    high = np.clip(np.ceil(voxels.max(0)), low + 1, low + 3 * shape).astype(np.int64)
    affine = fixed.affine.copy()
    affine[:-1, -1] = fixed.voxel_to_world(low.astype(np.float64))
    wide = Geometry(tuple(int(size) for size in high - low), affine)
    values, inside = Sampler.of(pair.moving).at(found.map_points(lattice_points(wide).flatten(0, -2)))
    return values[0].float().reshape(wide.shape).numpy(), inside.float().reshape(wide.shape).numpy(), low


def _scores(fixed: Values, moving: Values, there: Values) -> Values:
    """At each shift, wrapped; 0 where too little overlaps. fixed: all there."""
    size = [next_fast_len(one + two - 1, real=True) for one, two in zip(fixed.shape, moving.shape, strict=True)]

    def summed(one: NDArray[np.complex64], other: NDArray[np.complex64]) -> Values:
        total: Values = irfftn(one * other.conj(), size)
        return total

    boxes = rfftn(there, size), rfftn(np.ones_like(fixed), size)
    count = summed(*boxes)
    enough, n = count > LEAST_OVERLAP * min(fixed.size, float(there.sum())), np.maximum(count, 1)
    best = np.zeros(size, np.float32)
    for still, moved in ((fixed, moving), (_slope(fixed), _slope(moving))):
        two, one = still - still.mean(), (moved - moved[there > 0].mean()) * there
        f, ff, m, mm = (rfftn(part, size) for part in (two, two * two, one, one * one))
        mean_f, mean_m = summed(boxes[0], f) / n, summed(m, boxes[1]) / n
        spread_f, spread_m = summed(boxes[0], ff) / n - mean_f**2, summed(mm, boxes[1]) / n - mean_m**2
        floor = FLATTEST * max(1e-9, float(two.var() * one.var()))
        shared = (summed(m, f) / n - mean_f * mean_m) ** 2 / np.maximum(spread_f * spread_m, floor)
        best = np.maximum(best, np.where(enough, -n * np.log(1 - np.clip(shared, 0, 0.999)), 0))
    return best


def _slope(values: Values) -> Values:
    long = [axis for axis, size in enumerate(values.shape) if size > 1]
    slopes: Values = np.sqrt(sum(np.gradient(values, axis=axis) ** 2 for axis in long)).astype(np.float32)
    return slopes
