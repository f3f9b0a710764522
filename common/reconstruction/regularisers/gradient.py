"""Tikhonov of first order: half the sum of squares of differences of neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from common.reconstruction.dual_projection import DualProjection
from common.reconstruction.inner_products import by_case, squares
from common.reconstruction.regulariser import Bounds, Limits, ProximalMap, Regulariser
from common.reconstruction.regularisers._of_differences import OfDifferences
from common.study.checks import positive


@dataclass(frozen=True)
class Gradient(OfDifferences):
    """R(x) = |D x|^2 / 2.

    spacing: between pixels along each axis, such as millimetres; empty: one each. periodic: the neighbour of the last
    pixel is the first, which gives more maps a closed form.
    """

    convex: ClassVar[bool] = True

    spacing: tuple[float, ...] = ()
    periodic: bool = False

    def __post_init__(self) -> None:
        for one in self.spacing:
            positive("regulariser 'gradient'", spacing=one)

    def value(self, images: Tensor) -> Tensor:
        """|D x|^2 / 2."""
        return squares(self.analysis(images)) / 2

    def hessian(self, images: Tensor) -> Tensor:
        """D'D x."""
        return self.synthesis(self.analysis(images))

    def curvature(self, axes: int) -> float:
        """Four times the sum of squares of one over the spacing."""
        return self.split_norm(axes) ** 2

    def shrink(self, coefficients: Tensor, weight: Tensor) -> Tensor:
        """Coefficients divided by 1 + weight."""
        return coefficients / (1 + by_case(weight, coefficients))

    def proximal(self, bounds: Bounds | None, limits: Limits) -> ProximalMap:
        """By projection of the dual."""
        return DualProjection(self, bounds, limits)


regulariser: type[Regulariser] = Gradient
