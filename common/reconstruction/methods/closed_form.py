"""Least squares and Tikhonov in closed form, where map and regulariser together have one."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from common.errors import StudyError
from common.reconstruction.closed_forms import PeriodicEquations, Stationary, cosine_solve
from common.reconstruction.imaging_operator import Invertible, Shifted
from common.reconstruction.problem import Method, ReconstructionProblem, Solved
from common.reconstruction.quadratic import quadratic
from common.reconstruction.regularisers.gradient import Gradient
from common.reconstruction.regularisers.identity import Identity
from common.reconstruction.regularisers.none import Nothing


@dataclass(frozen=True)
class ClosedForm:
    """The pseudo-inverse, a shifted solve, or a division in the Fourier or the cosine plane."""

    def solve(self, problem: ReconstructionProblem, start: Tensor | None = None) -> Solved:
        """Exactly. Raises StudyError where there is no closed form."""
        quadratic(problem, "closed_form")
        images = _solution(problem)
        return Solved(images, problem.objective(images)[None], 0, "exact")


def _solution(problem: ReconstructionProblem) -> Tensor:
    linear, prior = problem.linear, problem.regulariser
    if (isinstance(prior, Nothing) or bool((problem.weight == 0).all())) and isinstance(linear, Invertible):
        return linear.pseudo_inverse(problem.measured)
    if bool((problem.weight > 0).all()):
        right = linear.adjoint(problem.measured)
        if isinstance(prior, Identity) and isinstance(linear, Shifted):
            return linear.solve_shifted(right, problem.weight)
        if isinstance(prior, Gradient) and isinstance(linear, Stationary):
            power = linear.power_spectrum()
            if prior.periodic:
                return PeriodicEquations(power, right, prior.spacing).solve(right, problem.weight)
            if bool((power == 1).all()):
                return cosine_solve(right, problem.weight, prior.spacing)
    raise StudyError(
        "there is no closed form of this map with this regulariser and weight: none needs a pseudo-inverse, identity "
        "a map whose shifted equations can be solved, gradient the identity map, or `periodic` and a map that is a "
        "convolution. Choose conjugate_gradient."
    )


method: type[Method] = ClosedForm
