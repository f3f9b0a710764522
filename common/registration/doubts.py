"""What speaks against a registration that was found: a search that failed does not know it by its cost.

Costs have no absolute scale: -.95 is a failure for one pair of images and a success for another. These are looked at
instead, of the coarsest images, which have the least noise: how much of the smaller image met the other, whether its
size was kept, whether what met has anything in common, and whether a mirror image would have fitted far better.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from common.registration.information import CorrelationRatio
from common.registration.local_agreement import Agreement, agreement
from common.registration.mirrors import best_mirrored, turned
from common.registration.objective import LEAST_OVERLAP, Pair, volume
from common.registration.sampling import Sampler
from common.registration.transform import Transform, jacobian_determinants
from common.seeding import generator

LEAST_EXPLAINED = 0.1
"""Share of the moving image's variance that the fixed one must explain by any curve; noise explains a hundredth."""
LARGEST_SCALE = 2.0
"""By which a length may grow or shrink; patients' do by less."""
MIRRORED = 0.7
"""Of the variance left unexplained, what a mirror image must leave at most to be called far better."""
AS_WELL = 0.98
"""How near another way must come to what was found, in variance left unexplained and in agreeing parts."""
MOST_POINTS = 2000
LEAST_AGREEING = 0.45
"""Share of the parts. Right places had .5 to 1, wrong ones .04 to .43."""


def doubts(
    images: Sequence[Pair], found: Transform, agreeing: Agreement | None = None, *, last: bool = True
) -> tuple[str, ...]:
    """Each a sentence without its end; empty where nothing speaks against it.

    images: coarsest first. agreeing: of their parts with what was found, where that is known already. last: whether
    it is to be said as well as can be what is wrong; else one doubt is enough.
    """
    return tuple(_doubts(images, found, agreeing or agreement(images, found), last=last))


def _doubts(images: Sequence[Pair], found: Transform, agreeing: Agreement, *, last: bool) -> Iterator[str]:
    pair = images[0]
    points = _places(pair)
    explained, met = _explained(pair, found, points)
    smaller = min(1.0, volume(pair.moving, pair.moving_mask) / volume(pair.fixed, pair.fixed_mask))
    if met < LEAST_OVERLAP * smaller:
        yield f"only {met / smaller:.1%} of the smaller image has a counterpart"
    growth = float(jacobian_determinants(found, points).abs().median()) ** (1 / found.dimensions)
    if not 1 / LARGEST_SCALE < growth < LARGEST_SCALE:
        yield f"lengths are multiplied by {growth:.3g} on the way"
    disagreeing = agreeing.share < LEAST_AGREEING
    if disagreeing and not explained >= LEAST_EXPLAINED:
        yield f"where they overlap, the images share next to nothing: {max(explained, 0):.1%} of the variance"
        return

    def as_well(way: Transform) -> float:
        share, there = _explained(pair, way, points)
        return share if there >= LEAST_OVERLAP * smaller else 0.0

    if disagreeing and not last:
        yield str(agreeing)
        return
    left = 1 - explained
    mirrored = best_mirrored(pair, found, as_well)
    if 1 - as_well(mirrored) < MIRRORED * left and _agreed(images, mirrored, agreeing):
        yield "the images fit far better with one of them mirrored, as if a file were flipped left to right"
    elif disagreeing:
        yield f"{agreeing}: the others would fit better elsewhere"
    elif any(AS_WELL * (1 - as_well(way)) < left and _agreed(images, way, agreeing) for way in turned(pair, found)):
        yield "turned by a large angle they would fit as well: there is no telling which way round is right"


def _agreed(images: Sequence[Pair], way: Transform, agreeing: Agreement) -> bool:
    """Whether parts agree with another way about as well as with what was found."""
    return agreement(images, way).share >= AS_WELL * agreeing.share


def _explained(pair: Pair, found: Transform, points: Tensor) -> tuple[float, float]:
    """Share of the moving values' variance that the fixed values explain, and the share of the points that is met."""
    with torch.no_grad():
        there = found.map_points(points)
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
