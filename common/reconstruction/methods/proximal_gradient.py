"""Proximal gradient (ISTA): a gradient step on the data's term, then the regulariser's proximal map."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from common.reconstruction.problem import Method, ReconstructionProblem, Solved
from common.reconstruction.proximal_steps import descend
from common.study.checks import positive, sized


@dataclass(frozen=True)
class ProximalGradient:
    """z = x - A'(A x - y) / L, x = prox_(w R / L)(z), L the largest eigenvalue of A'A (Daubechies et al. 2004).

    tolerance: relative change of the image at which a case ends. iterations: how many at most.
    """

    tolerance: float = 1e-6
    iterations: int = 2000

    def __post_init__(self) -> None:
        positive("method 'proximal_gradient'", tolerance=self.tolerance)
        sized("method 'proximal_gradient'", 10**7, iterations=self.iterations)

    def solve(self, problem: ReconstructionProblem, start: Tensor | None = None) -> Solved:
        """See `Method`."""
        return descend(
            problem,
            start,
            tolerance=self.tolerance,
            iterations=self.iterations,
            momentum=False,
            restart=False,
        )


method: type[Method] = ProximalGradient
