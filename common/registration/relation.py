"""How intensities of two images that lie on each other are related: by a line, or by a curve."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from common.registration.information import CorrelationRatio
from common.registration.objective import Pair
from common.registration.sampling import Sampler, lattice_points
from common.registration.similarity import CorrelationCoefficient
from common.registration.transform import Transform
from common.seeding import generator

CURVED = 0.1
"""Of what a curve explains of the variance, the share that a rising line must miss for the curve to matter."""
MOST_POINTS = 20_000
MOST_PLACES = 2000


def is_curved(pair: Pair, found: Transform) -> bool:
    """Whether a curve explains clearly more of either image than a rising line does."""
    points = lattice_points(pair.fixed.geometry).flatten(0, -2)
    points = points[:: max(1, len(points) // MOST_POINTS)]
    with torch.no_grad():
        there = found.map_points(points)
        moving, inside = Sampler.of(pair.moving).at(there)
        fixed, weight = Sampler.of(pair.fixed).at(points)[0][0], inside.to(moving.dtype)
        straight = max(0.0, -float(CorrelationCoefficient().cost(moving[0], fixed, weight))) ** 2
        curves = [
            -float(CorrelationRatio().cost(*pair_of, weight)) for pair_of in ((moving[0], fixed), (fixed, moving[0]))
        ]
    return bool(straight < (1 - CURVED) * max(np.nan_to_num(curves)))


def explained(pair: Pair, found: Transform, points: Tensor) -> tuple[float, float]:
    """Share of the moving values' variance that the fixed values explain, and the share of the points that is met."""
    with torch.no_grad():
        there = found.map_points(points)
        moving, inside = Sampler.of(pair.moving).at(there)
        fixed = Sampler.of(pair.fixed).at(points)[0]
        weight = inside.to(moving.dtype)
        if pair.moving_mask is not None:
            weight = weight * Sampler.of(pair.moving_mask).at(there, "nearest")[0][0]
        share = -float(CorrelationRatio().cost(moving[0], fixed[0], weight)) if weight.sum() > 0 else 0.0
    return share, float(weight.double().mean())


def places(pair: Pair) -> Tensor:
    """(N, D) places in the fixed image or its mask, one in each of equally many parts: a thin slice is met too."""
    shape = pair.fixed.geometry.shape
    chosen = np.arange(pair.fixed.values.size) if pair.fixed_mask is None else np.flatnonzero(pair.fixed_mask.values)
    some = chosen[:: max(1, len(chosen) // MOST_PLACES)]
    voxels = np.stack(np.unravel_index(some, shape), axis=-1) + generator(0, "doubts").uniform(
        -0.5, 0.5, (len(some), len(shape))
    )
    return torch.from_numpy(pair.fixed.geometry.voxel_to_world(voxels))
