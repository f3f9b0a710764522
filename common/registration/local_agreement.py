"""Whether the parts of two images agree with what was found for the whole: each is asked for its own place.

A search makes the whole as alike as it can, so the likeness of the whole says little. But its parts were never asked:
where the right place was found, each part of the image fits best where it lies; where a wrong one was found, each
fits best wherever chance has it, mostly at some other shift. How many fit best where they lie is counted, and how
many would do so by chance is known: the share of the shifts that were tried.

A part's fit at a shift is the share of one image's variance there that a line through the other image's values and
slopes explains (as LC2: Fuerst, Wein, Mueller and Navab 2014), both ways added up: blind to contrast and shading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
import torch
from torch import Tensor

from common.data.geometry import Geometry
from common.data.image import Image
from common.registration.filters import along_axes, window
from common.registration.linear import Linear
from common.registration.objective import Pair, volume
from common.registration.pyramid import coarser
from common.registration.sampling import Sampler, lattice_points
from common.registration.similarity import weighted_variance
from common.registration.transform import Transform

RADIUS = 2
"""Parts are of 5 voxels a side, one every 3."""
REACH = {2: 4, 3: 3}
"""Voxels by which a part is shifted at most, in 2D and 3D."""
ENOUGH_VOXELS = {2: 28, 3: 18}
"""Of the longest axis, in 2D and 3D: fewer leave too few parts."""
MOST_VOXELS = 24
"""Of the longest axis in 3D, beyond which images are made coarser."""
SUITED_VOXELS = 20
LEAST_MET = 0.6
"""Share of a part that must have a counterpart."""
STRUCTURED = 0.1
"""Of the whole image's variance, what a part must have to be asked."""
SURELY = 0.6
"""Share of agreeing parts from which on noise need not be smoothed away."""
MUCH_SMALLER = 0.5
PRODUCTS = 14
VALUES_AT_ONCE = 1 << 20
"""As fit a processor's cache."""
TINY = 1e-8


@dataclass(frozen=True)
class Agreement:
    """parts: how many were asked, those with structure. share: of them that agree; by_chance: what that would be."""

    parts: int
    share: float
    by_chance: float

    def __str__(self) -> str:
        return f"{self.share:.0%} of {self.parts} parts agree, {self.by_chance:.0%} would by chance"


NOT_ASKED = Agreement(0, 0.0, 0.0)


def judged(images: Sequence[Pair]) -> int:
    """Which images are asked, coarsest first: the coarsest that are large enough, else the finest."""
    sizes = [max(pair.fixed.geometry.shape) for pair in images]
    enough = ENOUGH_VOXELS[images[0].fixed.geometry.dimensions]
    return next((number for number, size in enumerate(sizes) if size >= enough), len(images) - 1)


def agreement(images: Sequence[Pair], found: Transform) -> Agreement:
    """Of the parts of the fixed image, or of the moving one where it is much smaller. images: coarsest first."""
    first = images[0]
    share = volume(first.moving, first.moving_mask) / volume(first.fixed, first.fixed_mask)
    if share < MUCH_SMALLER and isinstance(found, Linear):
        images, found = [pair.swapped() for pair in images], found.inverse()
    pair = _small_enough(images[judged(images)])
    sharp = _agreement(pair, found)
    if sharp.share >= SURELY:
        return sharp
    return max(sharp, _agreement(pair.smoothed(1.0), found), key=lambda one: one.share)


def _small_enough(pair: Pair) -> Pair:
    """In 3D the work grows with the volume, and that of a few thousand voxels says enough."""
    longest = max(pair.fixed.geometry.shape)
    if pair.fixed.geometry.dimensions == 2 or longest <= MOST_VOXELS:
        return pair
    factor = longest / SUITED_VOXELS
    moving, fixed = coarser(pair.moving, factor), coarser(pair.fixed, factor)
    return Pair(moving, fixed, _mask(pair.moving_mask, factor), _mask(pair.fixed_mask, factor))


def _mask(mask: Image | None, factor: float) -> Image | None:
    if mask is None:
        return None
    share = coarser(Image(mask.values.astype(np.float32), mask.geometry), factor)
    return Image(share.values >= 0.5, share.geometry)


def _agreement(pair: Pair, found: Transform) -> Agreement:
    dimensions = pair.fixed.geometry.dimensions
    reach = REACH[dimensions]
    shifts = list(product(range(2 * reach + 1), repeat=dimensions))
    fixed = torch.from_numpy(np.ascontiguousarray(pair.fixed.values, np.float64))
    asked = torch.ones_like(fixed)
    if pair.fixed_mask is not None:
        asked = torch.from_numpy(pair.fixed_mask.values.astype(np.float64))
    moved, anchor = _read(pair, found, reach), torch.stack([fixed, _slope(fixed), asked])
    sums = [window(size, RADIUS)[min(RADIUS, size - 1) :: RADIUS + 1].double() for size in fixed.shape]
    together = max(1, VALUES_AT_ONCE // (PRODUCTS * fixed.numel()))
    chunks = (shifts[at : at + together] for at in range(0, len(shifts), together))
    fits = torch.cat([_fit(anchor, _shifted(moved, some, fixed.shape), sums) for some in chunks])
    still = fits[len(shifts) // 2]
    near = torch.tensor([max(abs(step - reach) for step in shift) <= 1 for shift in shifts])
    parts = _structured(fixed, asked, sums) & (still > 0)
    count = int(parts.sum())
    if count == 0:
        return NOT_ASKED
    tried = (fits > 0).double()
    chance = (tried[near].sum(0) / tried.sum(0).clamp(min=1))[parts]
    return Agreement(count, float(near[fits.argmax(0)][parts].double().mean()), float(chance.mean()))


def _read(pair: Pair, found: Transform, margin: int) -> Tensor:
    """(3, *shape with a margin): the moving image on the fixed lattice, its slope, and whether it is there."""
    geometry = pair.fixed.geometry
    affine = geometry.affine.copy()
    affine[:-1, -1] = geometry.voxel_to_world([-float(margin)] * geometry.dimensions)
    wider = Geometry(tuple(size + 2 * margin for size in geometry.shape), affine)
    with torch.no_grad():
        there = found.map_points(lattice_points(wider).flatten(0, -2))
        values, inside = Sampler.of(pair.moving).at(there)
        met = inside.double()
        if pair.moving_mask is not None:
            met = met * Sampler.of(pair.moving_mask).at(there, "nearest")[0][0].double()
    moving = values[0].double().reshape(wider.shape)
    return torch.stack([moving, _slope(moving), met.reshape(wider.shape)])


def _slope(values: Tensor) -> Tensor:
    long = [axis for axis, size in enumerate(values.shape) if size > 1]
    return torch.stack(torch.gradient(values, dim=long)).square().sum(0).sqrt()


def _shifted(wide: Tensor, shifts: Sequence[tuple[int, ...]], shape: Sequence[int]) -> Tensor:
    """(S, C, *shape): windows of (C, *wider) that begin at each shift."""
    windows = [[slice(step, step + size) for step, size in zip(shift, shape, strict=True)] for shift in shifts]
    return torch.stack([wide[(slice(None), *window)] for window in windows])


def _fit(one: Tensor, shifted: Tensor, sums: list[Tensor]) -> Tensor:
    """(S, *parts), 0 to 2; 0 where too little of a part is met. one: (3, *shape). shifted: (S, 3, *shape)."""
    moving, slope, met = shifted.unbind(1)
    met = met * one[2]
    f, h = (part * met for part in one[:2])
    m, k = moving * met, slope * met
    stack = torch.stack([met, f, h, m, k, f * f, h * h, m * m, k * k, f * h, m * k, f * m, h * m, f * k])
    summed = along_axes(stack.flatten(0, 1), sums)
    n, f, h, m, k, ff, hh, mm, kk, fh, mk, fm, hm, fk = summed.reshape(*stack.shape[:2], *summed.shape[1:])
    count = n.clamp(min=1)
    full = prod(float(matrix.sum(1).max()) for matrix in sums)

    def cov(product: Tensor, left: Tensor, right: Tensor) -> Tensor:
        covariance: Tensor = product / count - left * right / count**2
        return covariance

    line = cov(fm, f, m)
    back = _explained(line, cov(hm, h, m), cov(ff, f, f), cov(hh, h, h), cov(fh, f, h), cov(mm, m, m))
    forth = _explained(line, cov(fk, f, k), cov(mm, m, m), cov(kk, k, k), cov(mk, m, k), cov(ff, f, f))
    fits: Tensor = (back + forth) * (n >= LEAST_MET * full)
    return fits


def _explained(to_one: Tensor, to_two: Tensor, one: Tensor, two: Tensor, both: Tensor, whole: Tensor) -> Tensor:
    """R^2 of a regression on two variables from covariances."""
    one, two = one + TINY, two + TINY
    determinant = one * two - both**2
    flat = determinant < 1e-3 * one * two
    explained = (to_one**2 * two - 2 * to_one * to_two * both + to_two**2 * one) / determinant.clamp(min=TINY**2)
    explained = torch.where(flat, to_one**2 / one, explained)
    return (explained / whole.clamp(min=TINY)).clamp(0, 1)


def _structured(fixed: Tensor, asked: Tensor, sums: list[Tensor]) -> Tensor:
    """Parts that vary enough to be asked."""
    count, total, squared = along_axes(torch.stack([asked, asked * fixed, asked * fixed * fixed]), sums)
    variance: Tensor = squared / count.clamp(min=1) - (total / count.clamp(min=1)) ** 2
    return variance > STRUCTURED * float(weighted_variance(fixed, asked))
