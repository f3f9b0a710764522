"""The inner work of dense registration: displacements in voxels of one lattice, and images moved by them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from common.registration.filters import along_axes, gaussian


class Lattice:
    """Places of one shape's voxels in the cube, in torch's order, and the scale from voxels to it."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)
        axes = [(2 * torch.arange(size) + 1) / size - 1 for size in self.shape]
        self._places = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flip(-1)[None]
        self._scale = 2 / torch.tensor(self.shape, dtype=torch.float32)

    def warped(self, values: Tensor, displacement: Tensor) -> Tensor:
        """(C, *shape) read at x + u(x); displacement: (D, *shape) in voxels."""
        moved = torch.stack([part * scale for part, scale in zip(displacement, self._scale, strict=True)][::-1], -1)
        return grid_sample(values[None], self._places + moved[None], padding_mode="border", align_corners=False)[0]

    def composed(self, displacement: Tensor, update: Tensor) -> Tensor:
        """u after v: v(x) + u(x + v(x))."""
        return update + self.warped(displacement, update)

    def gradient(self, values: Tensor) -> Tensor:
        """(D, *shape) central differences a voxel of values (*shape), one-sided at faces; 0 along a lone slice."""
        along = [axis for axis, size in enumerate(values.shape) if size > 1]
        found = dict(zip(along, torch.gradient(values, dim=along), strict=True))
        return torch.stack([found.get(axis, torch.zeros_like(values)) for axis in range(values.ndim)])

    def smoothed(self, vectors: Tensor, sigma: float) -> Tensor:
        """Gaussian of `sigma` voxels."""
        return along_axes(vectors, [gaussian(size, sigma) for size in self.shape]) if sigma > 0 else vectors


def enlarged(displacement: Tensor, shape: Sequence[int]) -> Tensor:
    """(D, *old) voxels -> (D, *shape) voxels of the finer lattice in the same cube; linear."""
    matrices, ratios = [], []
    for old, new in zip(displacement.shape[1:], shape, strict=True):
        places = ((torch.arange(new) + 0.5) * old / new - 0.5).clamp(0, old - 1)
        matrices.append((1 - (places[:, None] - torch.arange(old)).abs()).clamp(min=0))
        ratios.append(new / old)
    scale = torch.tensor(ratios).reshape(-1, *[1] * len(ratios))
    return along_axes(displacement, matrices) * scale
