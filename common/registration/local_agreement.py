"""Whether the parts of two images agree with what was found for the whole: each is asked for its own place.

A search makes the whole as alike as it can, so the similarity of the whole says little. Its parts were never asked:
where the right place was found, each part of the image fits best where it lies; where a wrong one was found, each
fits best wherever chance has it, mostly at some other shift. How many fit best where they lie is counted, and how
many would do so by chance is known: the share of the shifts that were tried.

How a part's fit is measured: see `parts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from scipy.special import bdtrc
from torch import Tensor

from common.registration.linear import Linear
from common.registration.objective import Pair, volume
from common.registration.parts import PRODUCTS, Parts, in_fewer_voxels
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
SURELY = 0.6
"""Share of agreeing parts from which on noise need not be smoothed away."""
MUCH_SMALLER = 0.5
VALUES_AT_ONCE = 1 << 20
"""As fit a processor's cache."""


@dataclass(frozen=True)
class Agreement:
    """parts: how many were asked, those with structure. share: of them that agree; by_chance: what that would be."""

    parts: int
    share: float
    by_chance: float

    @property
    def luck(self) -> float:
        """The chance that as many agree where nothing does: of two parts one does in a case of four."""
        agreeing = round(self.share * self.parts)
        return float(bdtrc(agreeing - 1, self.parts, min(1.0, self.by_chance))) if agreeing else 1.0

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
    return in_fewer_voxels(pair, longest / SUITED_VOXELS)


def _agreement(pair: Pair, found: Transform) -> Agreement:
    dimensions = pair.fixed.geometry.dimensions
    reach = REACH[dimensions]
    shifts = list(product(range(2 * reach + 1), repeat=dimensions))
    parts = Parts(pair, RADIUS)
    moved, size = parts.read(found, reach), parts.fixed.numel()
    together = max(1, VALUES_AT_ONCE // (PRODUCTS * size))
    chunks = (shifts[at : at + together] for at in range(0, len(shifts), together))
    fits = torch.cat([parts.fits(_shifted(moved, some, parts.fixed.shape)) for some in chunks])
    still = fits[len(shifts) // 2]
    near = torch.tensor([max(abs(step - reach) for step in shift) <= 1 for shift in shifts])
    asked = parts.structured & (still > 0)
    count = int(asked.sum())
    if count == 0:
        return NOT_ASKED
    tried = (fits > 0).double()
    chance = (tried[near].sum(0) / tried.sum(0).clamp(min=1))[asked]
    return Agreement(count, float(near[fits.argmax(0)][asked].double().mean()), float(chance.mean()))


def _shifted(wide: Tensor, shifts: Sequence[tuple[int, ...]], shape: Sequence[int]) -> Tensor:
    """(S, C, *shape): windows of (C, *wider) that begin at each shift."""
    windows = [[slice(step, step + size) for step, size in zip(shift, shape, strict=True)] for shift in shifts]
    return torch.stack([wide[(slice(None), *window)] for window in windows])
