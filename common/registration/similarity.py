"""How alike two images are: intensities of equal places, compared over the overlap only, as a cost to minimise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

TINY = 1e-9


class Similarity(Protocol):
    """A cost, lower where images are more alike; differentiable in `moving`.

    needs_lattice: whether values must be whole images (*shape) instead of any points (N,).
    shared_scale: whether intensities of both images are compared as they are, so that they must be scaled alike.
    both_ways: whether a linear search should take the cost at places of either image and add them up.
    """

    needs_lattice: ClassVar[bool]
    shared_scale: ClassVar[bool]
    both_ways: ClassVar[bool]

    def cost(self, moving: Tensor, fixed: Tensor, weight: Tensor) -> Tensor:
        """() from three tensors of one shape; weight 0 where a point is outside the overlap or a mask."""
        ...


@dataclass(frozen=True)
class SumOfSquaredDifferences:
    """SSD = 1/N sum (I(T(x)) - J(x))^2: right for equal intensities with Gaussian noise."""

    needs_lattice: ClassVar[bool] = False
    shared_scale: ClassVar[bool] = True
    both_ways: ClassVar[bool] = False

    def cost(self, moving: Tensor, fixed: Tensor, weight: Tensor) -> Tensor:
        """At least 0."""
        return weighted_mean((moving - fixed) ** 2, weight)


@dataclass(frozen=True)
class SumOfAbsoluteDifferences:
    """SAD = 1/N sum |I(T(x)) - J(x)|: right for equal intensities with Laplacian noise."""

    needs_lattice: ClassVar[bool] = False
    shared_scale: ClassVar[bool] = True
    both_ways: ClassVar[bool] = False

    def cost(self, moving: Tensor, fixed: Tensor, weight: Tensor) -> Tensor:
        """At least 0."""
        return weighted_mean((moving - fixed).abs(), weight)


@dataclass(frozen=True)
class CorrelationCoefficient:
    """CC = -cov(I, J) / (sd I sd J): right where intensities are related by a line. Constant images have 0.

    Summed in float64: a search that ends by thousandths of a voxel changes it by a ten-millionth.
    """

    needs_lattice: ClassVar[bool] = False
    shared_scale: ClassVar[bool] = False
    both_ways: ClassVar[bool] = False

    def cost(self, moving: Tensor, fixed: Tensor, weight: Tensor) -> Tensor:
        """From -1 to 1."""
        moving, fixed, weight = moving.double(), fixed.double(), weight.double()
        one = moving - weighted_mean(moving, weight)
        two = fixed - weighted_mean(fixed, weight)
        spread = weighted_mean(one**2, weight) * weighted_mean(two**2, weight)
        return -weighted_mean(one * two, weight) / (spread + TINY**2).sqrt()


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """() sum w v / sum w; 0 without any weight."""
    return (values * weight).sum() / weight.sum().clamp(min=TINY)


def weighted_variance(values: Tensor, weight: Tensor) -> Tensor:
    """() of the whole, not a sample."""
    return weighted_mean((values - weighted_mean(values, weight)) ** 2, weight)


def cubic_spline(distance: Tensor) -> Tensor:
    """The cubic B-spline at any distance; 2/3 at 0, 1/6 at 1, 0 from 2 on."""
    far = distance.abs()
    near = (4 - 6 * far**2 + 3 * far**3) / 6
    return torch.where(far < 1, near, (2 - far).clamp(min=0) ** 3 / 6)
