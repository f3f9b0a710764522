"""How intensities of two images that lie on each other are related: by a line, or by a curve."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from common.registration.information import CorrelationRatio
from common.registration.objective import Pair
from common.registration.sampling import Sampler, lattice_points
from common.registration.similarity import (
    TINY,
    CorrelationCoefficient,
    Similarity,
    SumOfAbsoluteDifferences,
    SumOfSquaredDifferences,
    weighted_mean,
    weighted_variance,
)
from common.registration.transform import Transform
from common.seeding import generator

CURVED = 0.3
"""Of what a rising line leaves unexplained, the share that a curve must explain to matter. Noise, shading and what
images lack left at most .5, mostly none; other contrasts .6 and more."""
LEAST_GAIN = 0.01
"""Of the whole variance, what it must explain besides: below it, neither similarity is drawn aside by much."""
MOST_POINTS = 20_000
MOST_PLACES = 2000


def follows_lines(similarity: Similarity) -> bool:
    """Whether it is right only where a rising line relates the intensities, or where they are equal."""
    return isinstance(similarity, CorrelationCoefficient | SumOfSquaredDifferences | SumOfAbsoluteDifferences)


def is_curved(pair: Pair, found: Transform, similarity: Similarity) -> bool:
    """Whether in any channel a curve explains clearly more of an image than what `similarity` goes by, within masks.

    A correlation of images that a curve relates has no extremum at the right scale: it may be a voxel or two off with
    nothing to show for it. By how much of the variance a line falls short says little, since air and head alone make
    a line of most; what the curve explains of the rest tells one from the other.
    """
    return any(_is_curved(channel, found, similarity.shared_scale) for channel in pair.channels)


def left_by_line(pair: Pair, found: Transform) -> float:
    """Share of the variance that no rising line explains, of the first channel, within masks."""
    return _left_by_line(*_met(pair, found, _some(pair)))


def _is_curved(pair: Pair, found: Transform, as_it_is: bool) -> bool:
    moving, fixed, weight = _met(pair, found, _some(pair))
    ratio = CorrelationRatio()
    met = float(weight.sum())
    if met <= ratio.bins:
        return False
    ways = (moving, fixed), (fixed, moving)
    curved = max(np.nan_to_num([-float(ratio.cost(*way, weight)) for way in ways]))
    by_curve = (1 - curved) * (met - 1) / (met - ratio.bins)
    by_line = _left_by_equality(moving, fixed, weight) if as_it_is else _left_by_line(moving, fixed, weight)
    return bool(by_line - by_curve > LEAST_GAIN and by_curve < (1 - CURVED) * by_line)


def _some(pair: Pair) -> Tensor:
    """(N, D) voxels of the fixed image or its mask."""
    chosen = lattice_points(pair.fixed.geometry).flatten(0, -2)
    if pair.fixed_mask is not None:
        chosen = chosen[torch.from_numpy(pair.fixed_mask.values.reshape(-1))]
    return chosen[:: max(1, len(chosen) // MOST_POINTS)]


def _left_by_line(moving: Tensor, fixed: Tensor, weight: Tensor) -> float:
    return 1 - max(0.0, -float(CorrelationCoefficient().cost(moving, fixed, weight))) ** 2


def _left_by_equality(moving: Tensor, fixed: Tensor, weight: Tensor) -> float:
    spread = max(float(weighted_variance(values, weight)) for values in (moving, fixed))
    return min(1.0, float(weighted_mean((moving - fixed) ** 2, weight)) / max(spread, TINY))


def explained(pair: Pair, found: Transform, points: Tensor) -> tuple[float, float]:
    """Share of the moving values' variance that the fixed values explain, and the share of the points that is met."""
    moving, fixed, weight = _met(pair, found, points)
    share = -float(CorrelationRatio().cost(moving, fixed, weight)) if weight.sum() > 0 else 0.0
    return share, float(weight.double().mean())


def _met(pair: Pair, found: Transform, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(N,) moving and fixed values at points of the fixed image, and 1 where the moving one, or its mask, is met."""
    with torch.no_grad():
        there = found.map_points(points)
        moving, inside = Sampler.of(pair.moving).at(there)
        weight = inside.to(moving.dtype)
        if pair.moving_mask is not None:
            weight = weight * Sampler.of(pair.moving_mask).at(there, "nearest")[0][0]
        return moving[0], Sampler.of(pair.fixed).at(points)[0][0], weight


def places(pair: Pair) -> Tensor:
    """(N, D) places in the fixed image or its mask, one in each of equally many parts: a thin slice is met too."""
    shape = pair.fixed.geometry.shape
    chosen = np.arange(pair.fixed.values.size) if pair.fixed_mask is None else np.flatnonzero(pair.fixed_mask.values)
    some = chosen[:: max(1, len(chosen) // MOST_PLACES)]
    voxels = np.stack(np.unravel_index(some, shape), axis=-1) + generator(0, "doubts").uniform(
        -0.5, 0.5, (len(some), len(shape))
    )
    return torch.from_numpy(pair.fixed.geometry.voxel_to_world(voxels))
