"""How a problem is divided for ADMM: which K its regulariser is split by, and how the data's equations are solved."""

from __future__ import annotations

from typing import Protocol, cast

from torch import Tensor

from common.reconstruction.closed_forms import PeriodicEquations, Stationary
from common.reconstruction.imaging_operator import Shifted
from common.reconstruction.inner_products import by_case
from common.reconstruction.normal_equations import conjugate_gradients
from common.reconstruction.problem import ReconstructionProblem
from common.reconstruction.proximal_steps import known_value, proximal_map_alone
from common.reconstruction.regularisers.gradient import Gradient
from common.reconstruction.regularisers.tv import TotalVariation

INNER_SHARE, FINEST, INNER_STEPS = 0.1, 1e-10, 50


class Division(Protocol):
    """x and z = K x of one problem."""

    def analysis(self, images: Tensor) -> Tensor:
        """K x."""
        ...

    def synthesis(self, coefficients: Tensor) -> Tensor:
        """K' z."""
        ...

    def images(self, coefficients: Tensor, rho: Tensor, start: Tensor) -> Tensor:
        """argmin |A x - y|^2 / 2 + rho |K x - coefficients|^2 / 2."""
        ...

    def shrunk(self, coefficients: Tensor, weight: Tensor) -> Tensor:
        """The proximal map of weight g, where R(x) = g(K x)."""
        ...

    def answer(self, images: Tensor, coefficients: Tensor) -> Tensor:
        """The image that x and z speak for, within bounds."""
        ...

    def value(self) -> Tensor | None:
        """R of that image, where it is known."""
        ...


def divided(problem: ReconstructionProblem, tolerance: float) -> Division:
    """K is D where periodic edges make all of it diagonal in the Fourier plane, else the identity."""
    prior, linear = problem.regulariser, problem.linear
    wraps = isinstance(prior, TotalVariation | Gradient) and prior.periodic and problem.bounds is None
    if wraps and isinstance(linear, Stationary):
        return ByDifferences(problem, cast(TotalVariation | Gradient, prior), linear)
    return ByImage(problem, tolerance)


class ByImage:
    """K = I: any map, any regulariser with a proximal map, bounds."""

    def __init__(self, problem: ReconstructionProblem, tolerance: float) -> None:
        self._linear, self._right = problem.linear, problem.linear.adjoint(problem.measured)
        self._simple = proximal_map_alone(problem, tolerance)
        self._tolerance = max(FINEST, INNER_SHARE * tolerance)

    def analysis(self, images: Tensor) -> Tensor:
        """The same."""
        return images

    def synthesis(self, coefficients: Tensor) -> Tensor:
        """The same."""
        return coefficients

    def images(self, coefficients: Tensor, rho: Tensor, start: Tensor) -> Tensor:
        """In closed form where the map has one."""
        shift = by_case(rho, coefficients)
        right = self._right + shift * coefficients
        if isinstance(self._linear, Shifted):
            return self._linear.solve_shifted(right, rho)

        def normal(images: Tensor) -> Tensor:
            return self._linear.adjoint(self._linear.forward(images)) + shift * images

        return conjugate_gradients(normal, right, start, self._tolerance, INNER_STEPS).images

    def shrunk(self, coefficients: Tensor, weight: Tensor) -> Tensor:
        """The regulariser's own map."""
        return self._simple(coefficients, weight)

    def answer(self, images: Tensor, coefficients: Tensor) -> Tensor:
        """z, which keeps bounds and is as sparse as the regulariser wants it."""
        return coefficients

    def value(self) -> Tensor | None:
        """Of z, where its map knows."""
        return known_value(self._simple)


class ByDifferences:
    """K = D with periodic edges, for a map whose A'A is a convolution: two transforms and one shrinkage a step."""

    def __init__(self, problem: ReconstructionProblem, prior: TotalVariation | Gradient, linear: Stationary) -> None:
        self._prior, self._right = prior, problem.linear.adjoint(problem.measured)
        self._equations = PeriodicEquations(linear.power_spectrum(), self._right, prior.spacing)

    def analysis(self, images: Tensor) -> Tensor:
        """D x."""
        return self._prior.analysis(images)

    def synthesis(self, coefficients: Tensor) -> Tensor:
        """D' z."""
        return self._prior.synthesis(coefficients)

    def images(self, coefficients: Tensor, rho: Tensor, start: Tensor) -> Tensor:
        """By division in the Fourier plane."""
        right = self._right + by_case(rho, self._right) * self._prior.synthesis(coefficients)
        return self._equations.solve(right, rho)

    def shrunk(self, coefficients: Tensor, weight: Tensor) -> Tensor:
        """Of the norm at every pixel."""
        return self._prior.shrink(coefficients, weight)

    def answer(self, images: Tensor, coefficients: Tensor) -> Tensor:
        """x."""
        return images

    def value(self) -> Tensor | None:
        """Not known."""
        return None
