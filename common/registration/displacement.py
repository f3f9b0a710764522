"""Dense transforms: a displacement at every voxel, and a stationary velocity whose flow is invertible."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil, log2

import torch
from torch import Tensor

from common.data.geometry import Geometry
from common.errors import ImageError
from common.registration.sampling import Sampler, lattice_points
from common.registration.transform import LARGEST_ERROR_MM, NumericalInverse, Transform

LARGEST_STEP_VOXELS = 0.25
LARGEST_MISS_VOXELS = 0.1


@dataclass(frozen=True, eq=False)
class DisplacementField:
    """x -> x + u(x), u linear between voxels and beyond the lattice that of its nearest face.

    vectors: (D, *shape), world mm, on `geometry`. Raises ImageError where shapes differ or a vector is not finite.
    """

    vectors: Tensor
    geometry: Geometry

    def __post_init__(self) -> None:
        _check(self.vectors, self.geometry)

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return self.geometry.dimensions

    def map_points(self, points: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        moved, _ = self._sampler.at(points)
        return points + moved.movedim(0, -1)

    def inverse(self) -> Transform:
        """Solved at each point when it is asked for, to a thousandth of a voxel, and of a mm at most."""
        return NumericalInverse(self, LARGEST_ERROR_MM * min(1.0, *self.geometry.spacing_mm))

    @cached_property
    def _sampler(self) -> Sampler:
        return Sampler(self.vectors, self.geometry)


@dataclass(frozen=True, eq=False)
class VelocityField:
    """The flow after time 1 along a velocity that does not change, by scaling and squaring (Arsigny et al. 2006).

    vectors: (D, *shape), world mm a unit of time, on `geometry`. The inverse is the flow along -v.
    """

    vectors: Tensor
    geometry: Geometry

    def __post_init__(self) -> None:
        _check(self.vectors, self.geometry)

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return self.geometry.dimensions

    def map_points(self, points: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        return self.displacement.map_points(points)

    def inverse(self) -> Transform:
        """The flow along -v; solved numerically where that misses the way back by a tenth of a voxel somewhere."""
        back, points = VelocityField(-self.vectors, self.geometry), lattice_points(self.geometry, self.vectors.dtype)
        with torch.no_grad():
            missed = float((back.map_points(self.map_points(points)) - points).norm(dim=-1).max())
        smallest = min(self.geometry.spacing_mm)
        return (
            back
            if missed <= LARGEST_MISS_VOXELS * smallest
            else NumericalInverse(self, LARGEST_ERROR_MM * min(1.0, smallest))
        )

    @cached_property
    def displacement(self) -> DisplacementField:
        """The flow as a displacement; differentiable in the velocity."""
        return DisplacementField(integrated(self.vectors, self.geometry), self.geometry)


def integrated(velocity: Tensor, geometry: Geometry) -> Tensor:
    """(D, *shape) mm: v / 2^n, then n times u <- u o (x + u) + u, n such that a first step is a quarter voxel."""
    largest = float(velocity.detach().norm(dim=0).max()) / min(geometry.spacing_mm)
    squarings = max(0, ceil(log2(max(largest, 1e-9) / LARGEST_STEP_VOXELS)))
    points = lattice_points(geometry, velocity.dtype)
    moved: Tensor = velocity / 2**squarings
    for _ in range(squarings):
        moved = moved + Sampler(moved, geometry).at(points + moved.movedim(0, -1))[0]
    return moved


def sampled(transform: Transform, geometry: Geometry) -> DisplacementField:
    """Any transform as a displacement field on `geometry`, float64."""
    points = lattice_points(geometry)
    with torch.no_grad():
        moved = transform.map_points(points) - points
    return DisplacementField(moved.movedim(-1, 0).contiguous(), geometry)


def _check(vectors: Tensor, geometry: Geometry) -> None:
    wanted = (geometry.dimensions, *geometry.shape)
    if tuple(vectors.shape) != wanted:
        raise ImageError(f"a field of vectors on this lattice must be {wanted}; it is {tuple(vectors.shape)}.")
    if not bool(torch.isfinite(vectors.detach()).all()):
        raise ImageError("a field of vectors must hold finite numbers only.")
