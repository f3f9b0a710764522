"""How unlike two batches of images are, one number a case; for training registration networks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, avg_pool3d

SMALLEST_VARIANCE = 1e-3
"""Of images scaled to deviation 1: below it a window holds nothing but noise, and its correlation counts as 0."""


def mean_squared_difference(warped: Tensor, fixed: Tensor) -> Tensor:
    """(N,) mean over voxels of (warped - fixed)^2."""
    return (warped - fixed).square().flatten(1).mean(1)


def local_correlation_loss(warped: Tensor, fixed: Tensor, window: int) -> Tensor:
    """(N,) 1 - mean over voxels of the squared correlation within `window` voxels along each axis.

    warped, fixed: (N, 1, *S). In 0..1. Balakrishnan et al. 2019, equation 6; windows are cut at the border.
    """
    pool = avg_pool2d if fixed.ndim == 4 else avg_pool3d

    def mean(values: Tensor) -> Tensor:
        answer: Tensor = pool(values, window, stride=1, padding=window // 2, count_include_pad=False)
        return answer

    means = mean(torch.cat([warped, fixed, warped * fixed, warped.square(), fixed.square()], dim=1))
    a, b, product, a_square, b_square = means.unbind(1)
    covariance = product - a * b
    variances = (a_square - a.square()).clamp_min(0) * (b_square - b.square()).clamp_min(0)
    return 1 - (covariance.square() / (variances + SMALLEST_VARIANCE**2)).flatten(1).mean(1)
