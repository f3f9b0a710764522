"""What an optimiser moves in: transforms of one vector of parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from common.registration.linear import LinearFamily
from common.registration.transform import Transform

Mapping = Callable[[Tensor], Tensor]


class Family(Protocol):
    """Transforms of parameters (P,), each a length in mm."""

    @property
    def parameters(self) -> Tensor:
        """(P,) float64, where an optimiser begins."""
        ...

    def transform(self, parameters: Tensor) -> Transform:
        """The transform they name."""
        ...

    def mapped(self, points: Tensor) -> Mapping:
        """parameters -> points (N, D) where the transform takes these points; differentiable."""
        ...

    def mapped_back(self, points: Tensor) -> Mapping | None:
        """parameters -> where the inverse takes points (N, D) of the moving image; none where that is not cheap."""
        ...

    def penalty(self, parameters: Tensor) -> Tensor:
        """() what is added to the cost."""
        ...


@dataclass(frozen=True, eq=False)
class LinearMotion:
    """Rigid, similarity or affine."""

    family: LinearFamily

    @property
    def parameters(self) -> Tensor:
        """Zeros."""
        return self.family.parameters

    def transform(self, parameters: Tensor) -> Transform:
        """A matrix."""
        return self.family.at(parameters)

    def mapped(self, points: Tensor) -> Mapping:
        """By one matrix product."""
        return lambda parameters: self.family.at(parameters).map_points(points)

    def mapped_back(self, points: Tensor) -> Mapping | None:
        """By the inverse matrix."""
        return lambda parameters: self.family.at(parameters).inverse().map_points(points)

    def penalty(self, parameters: Tensor) -> Tensor:
        """None."""
        return torch.zeros((), dtype=parameters.dtype)
