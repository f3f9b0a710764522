"""Separable filters as one small matrix an axis: smoothing, window sums, and changes of resolution.

A matrix product along an axis costs little on images of medical size, needs no padding, and its transpose is
the filter's adjoint.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor


def along_axes(values: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """values: (C, *shape), matrices: one (new, old) an axis -> (C, *new shape)."""
    filtered = values
    for axis, matrix in enumerate(matrices, start=1):
        shape = filtered.shape
        before, after = shape[:axis], shape[axis + 1 :]
        if after:
            flat = matrix @ filtered.reshape(*before, shape[axis], -1)
            filtered = flat.reshape(*before, len(matrix), *after)
        else:
            filtered = filtered @ matrix.T
    return filtered


def gaussian(size: int, sigma: float) -> Tensor:
    """(size, size) float32: weights of a Gaussian of `sigma` voxels, each row summing to 1, so that borders keep."""
    return reduction(size, size, sigma)


def reduction(size: int, new: int, sigma: float) -> Tensor:
    """(new, size) float32: Gaussian of `sigma` old voxels about the centres of `new` voxels in the same cube."""
    centres = (torch.arange(new, dtype=torch.float64) + 0.5) * size / new - 0.5
    if sigma <= 0:
        distance = (centres[:, None] - torch.arange(size, dtype=torch.float64)).abs()
        weights = (1 - distance).clamp(min=0)
    else:
        weights = torch.exp(-0.5 * ((centres[:, None] - torch.arange(size, dtype=torch.float64)) / sigma) ** 2)
        weights = weights.where(weights > 1e-4, torch.zeros(()).double())
    return (weights / weights.sum(1, keepdim=True)).float()


def refinement(size: int, new: int) -> Tensor:
    """(new, size) float32: interpolating cubic splines at the centres of `new` voxels in the same cube."""
    centres = (np.arange(new) + 0.5) * size / new - 0.5
    columns = [map_coordinates(unit, [centres], order=3, mode="nearest") for unit in np.eye(size)]
    return torch.from_numpy(np.stack(columns, axis=1)).float()


def window(size: int, radius: int) -> Tensor:
    """(size, size) float32 zeros and ones: sums over up to 2 radius + 1 voxels; symmetric."""
    places = torch.arange(size)
    return ((places[:, None] - places).abs() <= radius).float()
