"""One step of a dense registration: at each voxel the displacement that a smoothed quadratic model asks for.

Lucas and Kanade 1981 with a Gaussian window, for any cost: with g the cost's derivative by the warped image, h its
curvature and d the image's gradient, v = -(S[h d d'] + k I)^-1 S[g d], S a Gaussian. A plain gradient step
moves much where edges are strong and hardly elsewhere; this one is a length in voxels everywhere.
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import torch
from torch import Tensor

from common.registration.warping import Lattice

FAINT = 1e-12


def newton_step(
    lattice: Lattice, warped: Tensor, pull: Tensor, curvature: Tensor, sigma: float, damping: float
) -> Tensor:
    """(D, *shape) voxels. damping: k as a share of the mean curvature, which holds still what has no edges."""
    slopes = lattice.gradient(warped)
    pairs = list(combinations_with_replacement(range(len(slopes)), 2))
    bends = [curvature * slopes[one] * slopes[two] for one, two in pairs]
    smooth = lattice.smoothed(torch.stack([*(slope * pull for slope in slopes), *bends]), sigma)
    force, matrix = smooth[: len(slopes)], dict(zip(pairs, smooth[len(slopes) :], strict=True))
    diagonal = [matrix[axis, axis] for axis in range(len(slopes))]
    still = damping * float(sum(part.mean() for part in diagonal)) / len(slopes) + FAINT
    for axis, part in enumerate(diagonal):
        matrix[axis, axis] = part + still
    return -(_solved_flat if len(slopes) == 2 else _solved_solid)(matrix, force)


Symmetric = dict[tuple[int, int], Tensor]


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
