"""One step of a dense registration: at each voxel the displacement that a smoothed quadratic model asks for.

Lucas and Kanade 1981 with a Gaussian window, for any cost: with g the cost's derivative by the warped image, h its
curvature and d the image's gradient, v = -(S[h d d'] + k I)^-1 S[g d], S a Gaussian. A plain gradient step
moves much where edges are strong and hardly elsewhere; this one is a length in voxels everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement

import torch
from torch import Tensor

from common.registration.warping import Lattice

FAINT = 1e-12
Symmetric = dict[tuple[int, int], Tensor]
Springs = tuple[Tensor, Tensor]
"""A slope (D, *shape) by the displacement and its curvature (*shape), of what pulls at places and not at values."""


@dataclass(frozen=True)
class Quadratic:
    """N times the cost near a displacement: slope (D, *shape) and bends, (*shape) for each pair of axes in order."""

    slope: Tensor
    bends: Symmetric

    def minimum(self, damping: float) -> Tensor:
        """(D, *shape) voxels. damping: k as a share of the mean curvature, which holds still what has no edges."""
        diagonal = [self.bends[axis, axis] for axis in range(len(self.slope))]
        return -self.solved(self.slope, damping * float(sum(part.mean() for part in diagonal)) / len(diagonal))

    def solved(self, wanted: Tensor, still: float) -> Tensor:
        """(bends + still I)^-1 wanted, at every voxel."""
        matrix = dict(self.bends)
        for axis in range(len(self.slope)):
            matrix[axis, axis] = matrix[axis, axis] + still + FAINT
        return (_solved_flat if len(self.slope) == 2 else _solved_solid)(matrix, wanted)


def quadratic(
    lattice: Lattice, warped: Tensor, pull: Tensor, curvature: Tensor, sigma: float, springs: Springs | None = None
) -> Quadratic:
    """Smoothed by `sigma` voxels. warped, pull, curvature: (*shape), or (C, *shape), of which the mean is taken."""
    channels = [(warped, pull, curvature)] if warped.ndim == len(lattice.shape) else list(
        zip(warped, pull, curvature.expand_as(pull), strict=True)
    )  # fmt: skip
    pairs = list(combinations_with_replacement(range(len(lattice.shape)), 2))
    total: list[Tensor] = []
    for values, force, bend in channels:
        slopes = lattice.gradient(values)
        parts = [*(slope * force for slope in slopes), *(bend * slopes[one] * slopes[two] for one, two in pairs)]
        total = [one + two for one, two in zip(total, parts, strict=True)] if total else parts
    rough = torch.stack(total) / len(channels)
    size = len(lattice.shape)
    if springs is not None:
        rough[:size] += springs[0]
        for index, (one, two) in enumerate(pairs):
            if one == two:
                rough[size + index] += springs[1]
    smooth = lattice.smoothed(rough, sigma)
    return Quadratic(smooth[:size], dict(zip(pairs, smooth[size:], strict=True)))


def newton_step(
    lattice: Lattice, warped: Tensor, pull: Tensor, curvature: Tensor, sigma: float, damping: float
) -> Tensor:
    """(D, *shape) voxels: the minimum of the model."""
    return quadratic(lattice, warped, pull, curvature, sigma).minimum(damping)


def _solved_flat(m: Symmetric, b: Tensor) -> Tensor:
    determinant = m[0, 0] * m[1, 1] - m[0, 1] ** 2
    return torch.stack([m[1, 1] * b[0] - m[0, 1] * b[1], m[0, 0] * b[1] - m[0, 1] * b[0]]) / determinant


def _solved_solid(m: Symmetric, b: Tensor) -> Tensor:
    """By the adjugate: a batch of millions of small matrices is slow in any library's solver."""
    c00 = m[1, 1] * m[2, 2] - m[1, 2] ** 2
    c01 = m[0, 2] * m[1, 2] - m[0, 1] * m[2, 2]
    c02 = m[0, 1] * m[1, 2] - m[0, 2] * m[1, 1]
    c11 = m[0, 0] * m[2, 2] - m[0, 2] ** 2
    c12 = m[0, 1] * m[0, 2] - m[0, 0] * m[1, 2]
    c22 = m[0, 0] * m[1, 1] - m[0, 1] ** 2
    determinant = m[0, 0] * c00 + m[0, 1] * c01 + m[0, 2] * c02
    rows = ((c00, c01, c02), (c01, c11, c12), (c02, c12, c22))
    return torch.stack([sum((c * part for c, part in zip(row, b, strict=True)), torch.zeros(())) for row in rows]) / (
        determinant
    )
