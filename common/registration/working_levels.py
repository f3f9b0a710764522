"""The levels a deformation is searched on: none finer than it can use, and coarser ones in their place.

What neighbouring slides or two patients share is as large as a share of the image, whatever the number of pixels; at
the finest of many pixels only noise and texture would be followed. A displacement is read between voxels anyway.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from common.data.image import Image
from common.registration.objective import Pair
from common.registration.pyramid import coarser, coarser_within, suited_levels

FINEST_AXIS = 400
"""Voxels along the longest axis of the finest level that is used."""


def working_levels(pairs: Sequence[Pair], levels: int | None) -> list[Pair]:
    """Coarsest first, from the same. levels: how many, or as many as suit the finest."""
    fitting = [pair for pair in pairs if max(pair.fixed.geometry.shape) <= FINEST_AXIS]
    kept = fitting or [coarser_pair(pairs[0], max(pairs[0].fixed.geometry.shape) / FINEST_AXIS)]
    wanted = levels or suited_levels(kept[-1].fixed.geometry)
    coarsest, lacking = kept[0], wanted - len(kept)
    more = [coarser_pair(coarsest, 2**step) for step in range(lacking, 0, -1)]
    return [*more, *kept][-wanted:]


def coarser_pair(pair: Pair, factor: float) -> Pair:
    """Both images and masks; a coarse voxel is in a mask as where most of it is, or at least the best of them are."""
    images = (
        coarser_within(pair.moving, pair.moving_mask, factor),
        coarser_within(pair.fixed, pair.fixed_mask, factor),
    )
    moving_mask, fixed_mask = (
        None if mask is None else _coarser_mask(mask, factor) for mask in (pair.moving_mask, pair.fixed_mask)
    )
    return Pair(*images, moving_mask, fixed_mask, tuple(coarser_pair(one, factor) for one in pair.also))


def _coarser_mask(mask: Image, factor: float) -> Image:
    share = coarser(Image(mask.values.astype(np.float32), mask.geometry), factor)
    return Image(share.values >= min(0.5, float(share.values.max())), share.geometry)
