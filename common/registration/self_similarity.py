"""Self-similarity context: each voxel described by how alike the patches about it are, whatever the contrast.

Heinrich et al. 2013 (MIND-SSC), after the modality independent neighbourhood descriptor of 2012: of the neighbours
along the axes, each pair that is not opposite (12 in 3D, 4 in 2D) is compared; a channel is exp(-D / V), D the mean
squared difference of the two patches and V the mean of D over the channels. The difference of two descriptors is a
similarity between images that share structures and no intensities.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import torch
from torch import Tensor

from common.registration.filters import along_axes, gaussian
from common.registration.similarity import weighted_mean

FLAT = 1e-6
"""Of the squared intensity range: what V is at least, so that noise in air is no structure."""


@dataclass(frozen=True)
class SelfSimilarity:
    """Mean squared difference of descriptors. patch_sigma: of the Gaussian patch, voxels; apart: of neighbours."""

    needs_lattice: ClassVar[bool] = True
    shared_scale: ClassVar[bool] = False
    both_ways: ClassVar[bool] = False

    patch_sigma: float = 0.8
    apart: int = 1

    def cost(self, moving: Tensor, fixed: Tensor, weight: Tensor) -> Tensor:
        """At least 0, for images (*shape) scaled to [0, 1]; places of no weight count as 0 in both."""
        there = weight > 0
        difference = self.described(moving * there) - self.described(fixed * there)
        return weighted_mean(difference.square().mean(dim=0), weight)

    def described(self, values: Tensor) -> Tensor:
        """(C, *shape) from 0 to 1."""
        shifted = [_shifted(values, axis, step) for axis in range(values.ndim) for step in (-self.apart, self.apart)]
        pairs = [(one, two) for one, two in combinations(range(len(shifted)), 2) if one // 2 != two // 2]
        squared = torch.stack([(shifted[one] - shifted[two]).square() for one, two in pairs])
        smooth = [gaussian(size, self.patch_sigma).to(values.dtype) for size in values.shape]
        distances = along_axes(squared, smooth)
        distances = distances - distances.amin(dim=0)
        scale = distances.mean(dim=0) + FLAT
        return torch.exp(-distances / scale)


def _shifted(values: Tensor, axis: int, step: int) -> Tensor:
    """The neighbour `step` along; at a face its own value."""
    places = (torch.arange(values.shape[axis]) + step).clamp(0, values.shape[axis] - 1)
    return values.index_select(axis, places)
