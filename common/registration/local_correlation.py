"""Local correlation: the squared correlation in a window about each voxel, averaged (Avants et al. 2008)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from common.registration.filters import along_axes, window
from common.registration.similarity import TINY, weighted_mean

FLAT = 1e-5
"""Windows whose variance is below this share of the squared intensity range say nothing."""


@dataclass(frozen=True)
class LocalCorrelation:
    """-mean over x of cov^2 / (var var) in windows of 2 radius + 1 voxels; blind to slow changes of intensity."""

    needs_lattice: ClassVar[bool] = True
    shared_scale: ClassVar[bool] = False
    both_ways: ClassVar[bool] = False

    radius: int = 2

    def cost(self, moving: Tensor, fixed: Tensor, weight: Tensor) -> Tensor:
        """From -1 to 0, for images (*shape) scaled to [0, 1]."""
        sums = [window(size, self.radius).to(moving.dtype) for size in moving.shape]
        stack = torch.stack([weight, weight * moving, weight * fixed, weight * moving**2, weight * fixed**2,
                             weight * moving * fixed])  # fmt: skip
        count, one, two, squared_one, squared_two, product = along_axes(stack, sums)
        count = count.clamp(min=TINY)
        one, two = one / count, two / count
        variance_one = (squared_one / count - one**2).clamp(min=0) + FLAT
        variance_two = (squared_two / count - two**2).clamp(min=0) + FLAT
        covariance = product / count - one * two
        return -weighted_mean(covariance**2 / (variance_one * variance_two), weight)
