"""Where mutual information pulls a dense deformation: its slope, and a curvature that makes a step of it.

Each grey level of the fixed image has a mean and a spread of moving ones. Were they Gaussian, the information of a
voxel would be a square of its distance to that mean over the spread (Roche et al. 2000, section 3), whose second
derivative is one over the spread: a step is as long as that model asks for, instead of as steep as a histogram is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from common.registration.histogram_kernels import MARGIN
from common.registration.information import information, joint_histogram

LEAST_SPREAD = 1e-4
"""Of squared grey levels of [0, 1]: images that are noiseless functions of each other have next to none."""
TINY = 1e-9


class InformationForce:
    """-MI of a joint histogram of all voxels. weight: (*shape)."""

    def __init__(self, fixed: Tensor, weight: Tensor, bins: int) -> None:
        self._fixed, self._weight, self._bins = fixed, weight, bins

    def weigh(self, weight: Tensor) -> None:
        """From now on."""
        self._weight = weight

    def derivatives(self, warped: Tensor) -> tuple[float, Tensor, Tensor]:
        """As `Force` has it; the slope by torch's differentiation."""
        with torch.enable_grad():
            here = warped.detach().requires_grad_()
            joint = joint_histogram(here, self._fixed, self._weight, self._bins)
            cost = -information(joint)
        (slope,) = torch.autograd.grad(cost, here)
        share = self._weight / self._weight.mean().clamp(min=TINY)
        return float(cost.detach()), slope * warped.numel(), share / max(spread(joint.detach()), LEAST_SPREAD)


def spread(joint: Tensor) -> float:
    """Mean variance of the moving grey levels, in rows, given the fixed one, in columns; levels from 0 to 1."""
    bins = len(joint)
    levels = ((torch.arange(bins) + 0.5 - MARGIN) / (bins - 2 * MARGIN)).to(joint.dtype)[:, None]
    means = (joint * levels).sum(0) / joint.sum(0).clamp(min=TINY)
    return float((joint * (levels - means) ** 2).sum())
