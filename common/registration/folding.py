"""Where a displacement folds space, and the same displacement with its folds smoothed away.

Between voxels a displacement is linear in each axis, so its slopes at a voxel differ by side. Space is called folded
where the determinant for any choice of sides is not above `least`: the determinant by central differences, which
ITK and others take, is the mean of these, as a determinant is linear in each column.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from common.registration.filters import along_axes, gaussian

LEAST_DETERMINANT = 0.05
"""Below it space counts as folded, so that rounding and another way of taking slopes find no fold."""
SMOOTHINGS = 24
FIRST_SIGMA_VOXELS, GROWTH = 1.0, 1.2


def folded(displacement: Tensor, least: float = LEAST_DETERMINANT) -> Tensor:
    """(*shape) bool for (D, *shape) voxels."""
    sides = [_slopes(displacement, axis) for axis in range(len(displacement))]
    steepest = sum((torch.maximum(one.abs(), two.abs()) for one, two in sides), torch.zeros(())).amax(dim=0)
    suspect = steepest >= 1 - least
    bad = torch.zeros_like(suspect)
    if suspect.any():
        bad[suspect] = _least_determinant([tuple(part[:, suspect] for part in pair) for pair in sides]) <= least
    return bad


def unfolded(displacement: Tensor, least: float = LEAST_DETERMINANT) -> Tensor:
    """(D, *shape) voxels that fold nowhere; the same values where none was near.

    A fold is replaced by ever smoother versions of what is there. Should any be left in the end, all is drawn towards
    its mean, and a constant displacement does not fold.
    """
    sigma = FIRST_SIGMA_VOXELS
    for _ in range(SMOOTHINGS):
        bad = folded(displacement, least)
        if not bad.any():
            return displacement
        displacement = displacement + _near(bad, 2 * sigma) * (_smoothed(displacement, sigma) - displacement)
        sigma *= GROWTH
    mean = displacement.mean(dim=tuple(range(1, displacement.ndim)), keepdim=True)
    while folded(displacement, least).any():
        displacement = mean + (displacement - mean) / 2
    return displacement


def mended_velocity(velocity: Tensor, composed: Callable[[Tensor], Tensor]) -> Tensor:
    """(D, *shape) voxels whose flow folds nowhere, forwards or backwards. composed: velocity -> displacement."""
    for attempt in range(SMOOTHINGS):
        bad = folded(composed(velocity)) | folded(composed(-velocity))
        if not bad.any():
            return velocity
        sigma = FIRST_SIGMA_VOXELS * GROWTH**attempt
        velocity = velocity + _near(bad, 2 * sigma) * (_smoothed(velocity, sigma) - velocity)
    while (folded(composed(velocity)) | folded(composed(-velocity))).any():
        velocity = velocity / 2
    return velocity


def _slopes(displacement: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """(D, *shape) differences to the next and from the last voxel of one axis; 0 beyond the faces."""
    steps = displacement.diff(dim=axis + 1)
    nothing = torch.zeros_like(displacement.narrow(axis + 1, 0, 1))
    return torch.cat([steps, nothing], axis + 1), torch.cat([nothing, steps], axis + 1)


def _least_determinant(sides: list[tuple[Tensor, ...]]) -> Tensor:
    """(N,) for one pair of (D, N) slopes an axis."""
    size = len(sides)
    unit = torch.eye(size, dtype=sides[0][0].dtype)[:, :, None]
    found = [
        _determinant(torch.stack([unit[axis] + sides[axis][side] for axis, side in enumerate(chosen)]))
        for chosen in product((0, 1), repeat=size)
    ]
    return torch.stack(found).amin(dim=0)


def _determinant(m: Tensor) -> Tensor:
    """(N,) of (D, D, N)."""
    if len(m) == 2:
        return m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0]
    found: Tensor = (m[0] * torch.linalg.cross(m[1], m[2], dim=0)).sum(dim=0)
    return found


def _near(bad: Tensor, sigma: float) -> Tensor:
    """(*shape) 1 at folds, falling to 0 within some `sigma` voxels."""
    spread = _smoothed(bad.float()[None], sigma)[0]
    return torch.maximum((2 * spread / spread.max()).clamp(max=1), bad.float())


def _smoothed(values: Tensor, sigma: float) -> Tensor:
    return along_axes(values, [gaussian(size, sigma).to(values.dtype) for size in values.shape[1:]])
