"""No regulariser: least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from common.reconstruction.problem import clipped
from common.reconstruction.regulariser import Bounds, Limits, ProximalMap, Regulariser


@dataclass(frozen=True)
class Nothing:
    """R(x) = 0."""

    convex: ClassVar[bool] = True

    def value(self, images: Tensor) -> Tensor:
        """Zeros."""
        return torch.zeros(len(images), dtype=torch.float64, device=images.device)

    def hessian(self, images: Tensor) -> Tensor:
        """Zeros."""
        return torch.zeros_like(images)

    def curvature(self, axes: int) -> float:
        """0."""
        return 0.0

    def proximal(self, bounds: Bounds | None, limits: Limits) -> ProximalMap:
        """The nearest image within bounds."""
        return lambda images, weight: clipped(images, bounds)


regulariser: type[Regulariser] = Nothing
