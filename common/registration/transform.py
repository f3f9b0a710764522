"""What a transform is: from world points of the fixed image to world points of the moving image, in mm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from common.errors import ImageError
from common.registration.inversion import solved

LARGEST_ERROR_MM = 1e-3
SLOPE_STEP_VOXELS = 0.01
"""Of the smallest voxel: how far slopes are taken, so that they do not reach the next voxel."""


class Transform(Protocol):
    """A mapping of world points (..., D), RAS, in mm; D is 2 or 3. Differentiable in the points."""

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        ...

    def map_points(self, points: Tensor) -> Tensor:
        """(..., D) -> (..., D), of the points' dtype."""
        ...

    def inverse(self) -> Transform:
        """The mapping back, exact or solved numerically. Raises ImageError where there is none."""
        ...


@dataclass(frozen=True)
class Composition:
    """x -> second(first(x))."""

    first: Transform
    second: Transform

    def __post_init__(self) -> None:
        if self.first.dimensions != self.second.dimensions:
            raise ImageError(
                f"transforms of {self.first.dimensions} and {self.second.dimensions} dimensions do not compose."
            )

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return self.first.dimensions

    def map_points(self, points: Tensor) -> Tensor:
        """First one, then the other."""
        return self.second.map_points(self.first.map_points(points))

    def inverse(self) -> Transform:
        """The inverses, in the other order."""
        return Composition(self.second.inverse(), self.first.inverse())


@dataclass(frozen=True)
class NumericalInverse:
    """The mapping back, solved at every point to within `tolerance_mm`: see `inversion`.

    map_points raises ImageError where some point is not found, as where the transform folds.
    """

    forward: Transform
    tolerance_mm: float = LARGEST_ERROR_MM

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return self.forward.dimensions

    def map_points(self, points: Tensor) -> Tensor:
        """y with forward(y) = points."""
        found, left = solved(self.forward.map_points, points, self.tolerance_mm)
        if left > self.tolerance_mm:
            raise ImageError(f"the transform has no inverse at some point: {left:.3g} mm are left after all steps.")
        return found

    def inverse(self) -> Transform:
        """The transform itself."""
        return self.forward


def jacobian_determinants(transform: Transform, points: Tensor, step_mm: float = 0.01) -> Tensor:
    """(...) determinants of the transform's Jacobian at points (..., D), by central differences of `step_mm`."""
    exact = points.to(torch.float64)
    steps = step_mm * torch.eye(transform.dimensions, dtype=torch.float64)
    columns = [transform.map_points(exact + step) - transform.map_points(exact - step) for step in steps]
    determinants: Tensor = torch.linalg.det(torch.stack(columns, dim=-1) / (2 * step_mm))
    return determinants
