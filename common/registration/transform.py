"""What a transform is: from world points of the fixed image to world points of the moving image, in mm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from common.errors import ImageError

LARGEST_ERROR_MM = 1e-3


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
    """The mapping back, solved at every point by fixed-point iteration (Chen et al. 2008).

    It converges where the displacement's Jacobian is smaller than 1 in norm, which the library's own deformable
    results obey; map_points raises ImageError where some point is not found to within `tolerance_mm`.
    """

    forward: Transform
    iterations: int = 100
    tolerance_mm: float = LARGEST_ERROR_MM

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return self.forward.dimensions

    def map_points(self, points: Tensor) -> Tensor:
        """y with forward(y) = points."""
        found, left = solved(self.forward.map_points, points, self.iterations, self.tolerance_mm)
        if left > self.tolerance_mm:
            raise ImageError(f"the transform has no inverse at some point: {left:.3g} mm are left after all steps.")
        return found

    def inverse(self) -> Transform:
        """The transform itself."""
        return self.forward


def solved(
    forward: Callable[[Tensor], Tensor], points: Tensor, iterations: int, tolerance_mm: float
) -> tuple[Tensor, float]:
    """y with forward(y) = points by y <- y - (forward(y) - points), and the largest error in mm that is left."""
    found, left = points, float("inf")
    for _ in range(iterations):
        error = forward(found) - points
        left = float(error.detach().norm(dim=-1).max()) if error.numel() else 0.0
        if left <= tolerance_mm:
            break
        found = found - error
    return found, left


def jacobian_determinants(transform: Transform, points: Tensor, step_mm: float = 0.01) -> Tensor:
    """(...) determinants of the transform's Jacobian at points (..., D), by central differences of `step_mm`."""
    exact = points.to(torch.float64)
    steps = step_mm * torch.eye(transform.dimensions, dtype=torch.float64)
    columns = [transform.map_points(exact + step) - transform.map_points(exact - step) for step in steps]
    determinants: Tensor = torch.linalg.det(torch.stack(columns, dim=-1) / (2 * step_mm))
    return determinants
