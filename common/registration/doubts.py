"""What speaks against a registration that was found: a search that failed does not know it by its cost.

Costs have no absolute scale: -.95 is a failure for one pair of images and a success for another. These are looked at
instead, of the coarsest images, which have the least noise: how much of the smaller image met the other, whether its
size was kept, whether what met has anything in common, and whether a mirror image would have fitted far better.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from common.data.image import Image
from common.registration.information import CorrelationRatio
from common.registration.linear import Linear
from common.registration.objective import LEAST_OVERLAP, Pair, volume
from common.registration.sampling import Sampler
from common.registration.starts import mass_mm
from common.registration.transform import Transform, jacobian_determinants
from common.seeding import generator

LEAST_EXPLAINED = 0.1
"""Share of the moving image's variance that the fixed one must explain by any curve; noise explains a hundredth."""
LARGEST_SCALE = 2.0
"""By which a length may grow or shrink; patients' do by less."""
MIRRORED = 0.5
"""Of the variance left unexplained, what a mirror image must leave at most to be called far better."""
WELL_EXPLAINED = 0.98
"""Share from which on nothing is asked of mirror images."""
MOST_POINTS = 4000


def doubts(pair: Pair, found: Transform) -> tuple[str, ...]:
    """Each a sentence without its end; empty where nothing speaks against it. pair: the coarsest images."""
    return tuple(_doubts(pair, found))


def _doubts(pair: Pair, found: Transform) -> Iterator[str]:
    points = _places(pair)
    explained, met = _explained(pair, found, points)
    smaller = min(1.0, volume(pair.moving, pair.moving_mask) / volume(pair.fixed, pair.fixed_mask))
    if met < LEAST_OVERLAP * smaller:
        yield f"only {met / smaller:.1%} of the smaller image has a counterpart"
    growth = float(jacobian_determinants(found, points).abs().median()) ** (1 / found.dimensions)
    if not 1 / LARGEST_SCALE < growth < LARGEST_SCALE:
        yield f"lengths are multiplied by {growth:.3g} on the way"
    if not explained >= LEAST_EXPLAINED:
        yield f"where they overlap, the images share next to nothing: {max(explained, 0):.1%} of the variance"
        return
    if explained > WELL_EXPLAINED:
        return
    mirrored = [_explained(pair, found, points, _reflection(pair.fixed, axis)) for axis in range(found.dimensions)]
    if any(1 - share < MIRRORED * (1 - explained) and met >= LEAST_OVERLAP * smaller for share, met in mirrored):
        yield "the images fit far better with one of them mirrored, as if a file were flipped left to right"


def _explained(pair: Pair, found: Transform, points: Tensor, first: Linear | None = None) -> tuple[float, float]:
    """Share of the moving values' variance that the fixed values explain, and the share of the points that is met."""
    with torch.no_grad():
        there = found.map_points(points if first is None else first.map_points(points))
        moving, inside = Sampler.of(pair.moving).at(there)
        fixed = Sampler.of(pair.fixed).at(points)[0]
        weight = inside.to(moving.dtype)
        if pair.moving_mask is not None:
            weight = weight * Sampler.of(pair.moving_mask).at(there, "nearest")[0][0]
        explained = -float(CorrelationRatio().cost(moving[0], fixed[0], weight)) if weight.sum() > 0 else 0.0
    return explained, float(weight.double().mean())


def _places(pair: Pair) -> Tensor:
    """(N, D) places in the fixed image or its mask, one in each of equally many parts: a thin slice is met too."""
    shape = pair.fixed.geometry.shape
    chosen = np.arange(pair.fixed.values.size) if pair.fixed_mask is None else np.flatnonzero(pair.fixed_mask.values)
    some = chosen[:: max(1, len(chosen) // MOST_POINTS)]
    voxels = np.stack(np.unravel_index(some, shape), axis=-1) + generator(0, "doubts").uniform(
        -0.5, 0.5, (len(some), len(shape))
    )
    return torch.from_numpy(pair.fixed.geometry.voxel_to_world(voxels))


def _reflection(image: Image, axis: int) -> Linear:
    """Across the plane through the image's mass, along one axis of the world."""
    signs = np.ones(image.geometry.dimensions)
    signs[axis] = -1
    return Linear.of(np.diag(signs), np.zeros(len(signs)), mass_mm(image))
