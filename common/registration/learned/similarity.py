"""How unlike two batches of images are, one number a case; for training registration networks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, avg_pool3d, conv3d

from common.registration.learned.spatial_transformer import shrunk, warp

SMALLEST_VARIANCE = 1e-3
"""Of images scaled to deviation 1: below it a window holds nothing but noise, and its correlation counts as 0."""


def mean_squared_difference(warped: Tensor, fixed: Tensor) -> Tensor:
    """(N,) mean over voxels of (warped - fixed)^2."""
    return (warped - fixed).square().flatten(1).mean(1)


def local_correlation_loss(warped: Tensor, fixed: Tensor, window: int) -> Tensor:
    """(N,) 1 - mean over voxels of the squared correlation within `window` voxels along each axis.

    warped, fixed: (N, 1, *S). In 0..1. Balakrishnan et al. 2019, equation 6; windows are cut at the border.
    """
    means = _window_means(torch.cat([warped, fixed, warped * fixed, warped.square(), fixed.square()], dim=1), window)
    a, b, product, a_square, b_square = means.unbind(1)
    covariance = product - a * b
    variances = (a_square - a.square()).clamp_min(0) * (b_square - b.square()).clamp_min(0)
    return 1 - (covariance.square() / (variances + SMALLEST_VARIANCE**2)).flatten(1).mean(1)


def _window_means(values: Tensor, window: int) -> Tensor:
    """Means over windows cut at the border, axis by axis: 3 * window sums a voxel instead of window^3."""
    if values.ndim == 5 and values.device.type != "cpu":  # where avg_pool3d's gradients are added in no fixed order
        return _volume_means(values, window)
    pool = avg_pool2d if values.ndim == 4 else avg_pool3d
    axes = values.ndim - 2
    for axis in range(axes):
        sides = tuple(window if other == axis else 1 for other in range(axes))
        padding = tuple(side // 2 for side in sides)
        values = pool(values, sides, stride=1, padding=padding, count_include_pad=False)
    return values


def _volume_means(values: Tensor, window: int) -> Tensor:
    """The same of volumes, by convolutions."""
    for axis in range(3):
        sides = [window if other == axis else 1 for other in range(3)]
        ones = values.new_ones(1, 1, *sides)
        padding = [side // 2 for side in sides]
        sums = conv3d(values.flatten(0, 1)[:, None], ones, padding=padding)[:, 0].reshape(values.shape)
        counts = conv3d(values.new_ones(1, 1, *values.shape[2:]), ones, padding=padding)
        values = sums / counts
    return values


def label_loss(labels: Tensor, displacement: Tensor, shrink: int = 1) -> Tensor:
    """(N,) 1 - soft Dice of moved and fixed labels, mean over labels that the pair has; 0 where it has none.

    labels: (N, 2, *S) whole numbers, moving and fixed, 0 background. displacement: (N, D, *(S // shrink)) in voxels
    of that lattice, on which a label is the share of each voxel that it fills.
    """
    classes = range(1, int(labels.max()) + 1)
    if not classes:
        return displacement.new_zeros(len(labels))
    moving, fixed = (
        shrunk(torch.stack([labels[:, side] == index for index in classes], dim=1).float(), shrink) for side in (0, 1)
    )
    moved, wanted = warp(moving, displacement).flatten(2), fixed.flatten(2)
    sizes = moved.sum(2) + wanted.sum(2)
    present = (sizes > 0).float()
    dice = 2 * (moved * wanted).sum(2) / sizes.clamp_min(1e-6)
    return ((1 - dice) * present).sum(1) / present.sum(1).clamp_min(1)
