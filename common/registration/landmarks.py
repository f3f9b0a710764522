"""Pairs of landmarks as a term of the cost: where a deformation should take some points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from common.data.geometry import Geometry, Points
from common.errors import ImageError
from common.registration.transform import Transform
from common.study.checks import non_negative

SHARE_OF_RADIUS = 0.05


@dataclass(frozen=True, eq=False)
class Landmarks:
    """fixed, moving: (N, D) world points in mm, row by row of the same place.

    weight: what a mean squared distance of a twentieth of the fixed image's radius adds to the cost; 0 is none.
    Raises ImageError for anything else than equally many finite points, StudyError for a weight below 0.
    """

    fixed: ArrayLike
    moving: ArrayLike
    weight: float = 1.0

    def __post_init__(self) -> None:
        one, two = (np.asarray(points, np.float64) for points in (self.fixed, self.moving))
        good = one.ndim == 2 and one.shape == two.shape and one.shape[1] in (2, 3) and len(one) > 0
        if not good or not (np.isfinite(one).all() and np.isfinite(two).all()):
            raise ImageError(
                f"landmarks must be two equally long lists of finite points; they are {one.shape}, {two.shape}."
            )
        non_negative("landmarks", weight=self.weight)
        object.__setattr__(self, "fixed", one)
        object.__setattr__(self, "moving", two)

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return int(self.points[0].shape[1])

    @property
    def points(self) -> tuple[Points, Points]:
        """Fixed and moving, float64."""
        return np.asarray(self.fixed, np.float64), np.asarray(self.moving, np.float64)

    def scaled(self, factor: float) -> Landmarks:
        """All points times a factor."""
        fixed, moving = self.points
        return Landmarks(factor * fixed, factor * moving, self.weight)


class Pull:
    """Landmarks on one level's lattice: a cost, and a quadratic model of it by each voxel's displacement."""

    def __init__(self, landmarks: Landmarks, geometry: Geometry, before: Transform) -> None:
        fixed, moving = (torch.from_numpy(points) for points in landmarks.points)
        with torch.no_grad():
            wanted = before.inverse().map_points(moving)
        to_voxels = torch.tensor(np.linalg.inv(geometry.affine))
        self._shape, size = geometry.shape, geometry.dimensions
        places = fixed @ to_voxels[:size, :size].T + to_voxels[:size, size]
        self._wanted = ((wanted - fixed) @ to_voxels[:size, :size].T).float()
        self._corners, self._weights = _corners(places, geometry.shape)
        lengths = np.array(geometry.shape) * geometry.spacing_mm
        radius_mm = float(np.sqrt((lengths**2).sum() / 12))
        edge_mm = float(np.prod(geometry.spacing_mm) ** (1 / size))
        self._factor = landmarks.weight * (edge_mm / (SHARE_OF_RADIUS * radius_mm)) ** 2 / len(fixed)

    def cost(self, displacement: Tensor) -> Tensor:
        """() for (D, *shape) voxels; differentiable."""
        return self._factor * self._lacking(displacement).square().sum()

    def model(self, displacement: Tensor) -> tuple[Tensor, Tensor]:
        """(D, *shape) and (*shape): N times the cost's slope by the displacement of each voxel, and its curvature."""
        count = int(np.prod(self._shape))
        lacking, factor = self._lacking(displacement), 2 * count * self._factor
        slope = torch.zeros(len(displacement), count)
        bend = torch.zeros(count)
        for corner, weight in zip(self._corners.T, self._weights.T, strict=True):
            slope.index_add_(1, corner, -factor * lacking.T * weight)
            bend.index_add_(0, corner, factor * weight)
        return slope.reshape(-1, *self._shape), bend.reshape(self._shape)

    def _lacking(self, displacement: Tensor) -> Tensor:
        """(N, D) what each landmark lacks, in voxels."""
        flat = displacement.reshape(len(displacement), -1)
        return self._wanted - (flat[:, self._corners] * self._weights).sum(-1).T


def _corners(places: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """(N, 2^D) indices of the voxels about each place, (N, D) in voxels, and their linear weights."""
    indices = torch.zeros(len(places), 1, dtype=torch.int64)
    weights = torch.ones(len(places), 1)
    for axis, size in enumerate(shape):
        place = places[:, axis].clamp(0, size - 1)
        low = place.floor().long().clamp(max=max(size - 2, 0))
        share = (place - low).float()
        pair = torch.stack([low, (low + 1).clamp(max=size - 1)], dim=1)
        along = torch.stack([1 - share, share], dim=1)
        indices = (indices[:, :, None] * size + pair[:, None]).flatten(1)
        weights = (weights[:, :, None] * along[:, None]).flatten(1)
    return indices, weights
