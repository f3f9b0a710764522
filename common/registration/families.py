"""What an optimiser moves in: transforms of one vector of parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from common.data.geometry import Geometry
from common.registration.compose import compose
from common.registration.free_form import FreeForm, bending_energy, support
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


@dataclass(frozen=True, eq=False)
class FreeFormMotion:
    """x -> linear(x + u(x)), u by B-splines. stiffness: weight of the bending energy, in cost a 1/mm^2."""

    lattice: Geometry
    before: Transform
    start: Tensor
    stiffness: float

    @property
    def parameters(self) -> Tensor:
        """The control vectors, flat."""
        return self.start.reshape(-1)

    def transform(self, parameters: Tensor) -> Transform:
        """Free form, then linear."""
        return compose(FreeForm(parameters.reshape(self.start.shape), self.lattice), self.before)

    def mapped(self, points: Tensor) -> Mapping:
        """The splines' weights at the points are worked out once."""
        indices, weights = support(points, self.lattice)

        def map_points(parameters: Tensor) -> Tensor:
            form = FreeForm(parameters.reshape(self.start.shape), self.lattice)
            return self.before.map_points(form.displaced(points, indices, weights))

        return map_points

    def mapped_back(self, points: Tensor) -> Mapping | None:
        """None: the inverse is found point by point."""
        return None

    def penalty(self, parameters: Tensor) -> Tensor:
        """Bending energy."""
        return self.stiffness * bending_energy(parameters.reshape(self.start.shape), self.lattice)
