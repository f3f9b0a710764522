"""FISTA: proximal gradient with momentum, which restarts where it overshoots (Beck & Teboulle 2009)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from common.reconstruction.problem import Method, ReconstructionProblem, Solved
from common.reconstruction.proximal_steps import descend
from common.study.checks import positive, sized


@dataclass(frozen=True)
class Fista:
    """tolerance: relative change of the image at which a case ends. iterations: how many at most.

    restart: momentum is forgotten where a step goes against it (O'Donoghue & Candes 2015).
    """

    tolerance: float = 1e-5
    iterations: int = 500
    restart: bool = True

    def __post_init__(self) -> None:
        positive("method 'fista'", tolerance=self.tolerance)
        sized("method 'fista'", 10**7, iterations=self.iterations)

    def solve(self, problem: ReconstructionProblem, start: Tensor | None = None) -> Solved:
        """See `Method`."""
        return descend(
            problem,
            start,
            tolerance=self.tolerance,
            iterations=self.iterations,
            momentum=True,
            restart=self.restart,
        )


method: type[Method] = Fista
