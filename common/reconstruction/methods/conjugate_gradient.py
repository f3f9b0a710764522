"""Least squares and Tikhonov by conjugate gradients of the normal equations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from common.reconstruction.inner_products import by_case
from common.reconstruction.normal_equations import conjugate_gradients
from common.reconstruction.problem import Method, ReconstructionProblem, Solved
from common.reconstruction.quadratic import quadratic
from common.study.checks import positive, sized


@dataclass(frozen=True)
class ConjugateGradient:
    """tolerance: of the normal equations' residual, as a share of |A'y|, at which a case ends. iterations: how many
    at most.
    """

    tolerance: float = 1e-6
    iterations: int = 500

    def __post_init__(self) -> None:
        positive("method 'conjugate_gradient'", tolerance=self.tolerance)
        sized("method 'conjugate_gradient'", 10**7, iterations=self.iterations)

    def solve(self, problem: ReconstructionProblem, start: Tensor | None = None) -> Solved:
        """From nothing, so that least squares without a unique solution end at the one of least norm."""
        regulariser, linear = quadratic(problem, "conjugate_gradient"), problem.linear
        right = linear.adjoint(problem.measured)
        begin = torch.zeros_like(right) if start is None else start
        objective = [problem.objective(begin)]

        def normal(images: Tensor) -> Tensor:
            found = linear.adjoint(linear.forward(images))
            return found + by_case(problem.weight, images) * regulariser.hessian(images)

        def watch(images: Tensor, _: Tensor) -> None:
            objective.append(problem.objective(images))

        found = conjugate_gradients(normal, right, begin, self.tolerance, self.iterations, watch)
        done = bool((found.residual <= self.tolerance).all())
        return Solved(found.images, torch.stack(objective), found.steps, "residual" if done else "iterations")


method: type[Method] = ConjugateGradient
