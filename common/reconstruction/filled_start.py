"""An image without holes, to begin by where a method ends near what it began with, as with a denoiser for a prior."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from common.reconstruction.methods.conjugate_gradient import ConjugateGradient
from common.reconstruction.problem import ReconstructionProblem, clipped
from common.reconstruction.regularisers.gradient import Gradient

WEIGHT = 1e-2
"""Of squared differences of neighbours, by the map's squared norm."""
SOLVER = ConjugateGradient(tolerance=1e-5, iterations=200)
"""Within a hole the equations are as small as the weight."""


def filled_start(problem: ReconstructionProblem) -> Tensor:
    """The smoothest image that nearly fits the data: where nothing is measured, what surrounds it spreads.

    |A x - y|^2 / 2 + w |D x|^2 / 2. The adjoint has holes there, and a denoiser keeps a hole as an image's own.
    """
    smooth = replace(
        problem, regulariser=Gradient(), weight=WEIGHT * problem.data_curvature().to(problem.weight), bounds=None
    )
    return clipped(SOLVER.solve(smooth).images, problem.bounds)
