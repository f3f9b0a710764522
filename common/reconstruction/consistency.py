"""Steps that bring an image nearer to its data y = A x: what unrolled and plug-and-play methods do between priors.

All are by A over its norm, so that a step or a weight means the same of every operator: the squares of the norms of
those that are here go from 1/16 to 10,000.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from common.reconstruction.imaging_operator import Invertible, LinearMap, Shifted
from common.reconstruction.inner_products import by_case

Consistency = Literal["gradient", "proximal", "projection"]
CONSISTENCIES: tuple[Consistency, ...] = ("gradient", "proximal", "projection")
INNER_ITERATIONS = 8
"""Of conjugate gradients, where a proximal step has no closed form (Aggarwal et al. 2019, MoDL, take ten)."""


@dataclass(frozen=True)
class Data:
    """What was measured of a batch, and how. back: A' y. square: (N, 1, ...) of A's norm."""

    linear: LinearMap
    measured: Tensor
    back: Tensor
    square: Tensor

    @classmethod
    def of(cls, linear: LinearMap, measured: Tensor) -> Data:
        """With what all steps need worked out once."""
        back = linear.adjoint(measured)
        return cls(linear, measured, back, by_case(linear.norm().square().clamp(min=1e-12), back))

    def descended(self, images: Tensor, step: Tensor) -> Tensor:
        """x + step A' (y - A x) / |A|^2: a step of gradient descent of half the squared residual.

        It falls for every step below 2.
        """
        residual = self.back - self.linear.adjoint(self.linear.forward(images))
        return images + step * residual / self.square

    def proximal(self, images: Tensor, weight: Tensor) -> Tensor:
        """argmin_x |A x - y|^2 / |A|^2 + weight |x - images|^2; weight: one number above zero.

        In closed form where A has one (`solve_shifted`), else by conjugate gradients from `images`.
        """
        shift = weight * self.square
        sought = self.back + shift * images
        if isinstance(self.linear, Shifted):
            return self.linear.solve_shifted(sought, shift.reshape(-1))
        return self._conjugate_gradients(images, sought, shift)

    def projected(self, images: Tensor) -> Tensor:
        """x + A+ (y - A x): of all images that fit the data, the nearest. Data that have a fit are fitted exactly."""
        assert isinstance(self.linear, Invertible)
        return images + self.linear.pseudo_inverse(self.measured - self.linear.forward(images))

    def _conjugate_gradients(self, images: Tensor, sought: Tensor, shift: Tensor) -> Tensor:
        """(A'A + shift)^-1 sought, each case by its own steps (Hestenes and Stiefel 1952)."""
        residual = sought - self._shifted(images, shift)
        direction, left = residual, _squares(residual)
        for _ in range(INNER_ITERATIONS):
            mapped = self._shifted(direction, shift)
            pace = left / _inner(direction, mapped).clamp(min=1e-30)
            images, residual = images + pace * direction, residual - pace * mapped
            now = _squares(residual)
            direction, left = residual + now / left.clamp(min=1e-30) * direction, now
        return images

    def _shifted(self, images: Tensor, shift: Tensor) -> Tensor:
        return self.linear.adjoint(self.linear.forward(images)) + shift * images


def _squares(images: Tensor) -> Tensor:
    return _inner(images, images)


def _inner(one: Tensor, other: Tensor) -> Tensor:
    """(N, 1, ...) inner products of cases, in their own precision: they are learned through."""
    return by_case((one * other).flatten(1).sum(1), one)


def positive(values: Tensor) -> Tensor:
    """Numbers above zero of any that are learned; 1 of 0, a tenth each way of its logarithm."""
    return torch.exp(LOGARITHMS_A_UNIT * values)


LOGARITHMS_A_UNIT = 10.0
"""So that an optimiser that moves weights by thousandths moves steps by hundredths of themselves."""
