"""Tikhonov of order zero: half the sum of squares of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from common.reconstruction.inner_products import by_case, squares
from common.reconstruction.problem import clipped
from common.reconstruction.regulariser import Bounds, Limits, ProximalMap, Regulariser


@dataclass(frozen=True)
class Identity:
    """R(x) = |x|^2 / 2."""

    convex: ClassVar[bool] = True

    def value(self, images: Tensor) -> Tensor:
        """|x|^2 / 2."""
        return squares(images) / 2

    def hessian(self, images: Tensor) -> Tensor:
        """The same."""
        return images

    def curvature(self, axes: int) -> float:
        """1."""
        return 1.0

    def proximal(self, bounds: Bounds | None, limits: Limits) -> ProximalMap:
        """Images divided by 1 + weight, then within bounds."""
        return lambda images, weight: clipped(images / (1 + by_case(weight, images)), bounds)


regulariser: type[Regulariser] = Identity
