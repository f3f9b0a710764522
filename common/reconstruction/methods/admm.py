"""ADMM: the data's equations and the regulariser's proximal map in turn (Boyd et al. 2011)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from common.reconstruction.alternating import Division, divided
from common.reconstruction.inner_products import by_case, squares
from common.reconstruction.problem import Method, ReconstructionProblem, Solved, clipped
from common.reconstruction.progress import Progress
from common.study.checks import positive, sized

RELAXED = 1.6
"""Over-relaxation (Boyd et al. 2011, section 3.4.3)."""
UNBALANCED, FIRST_CHANGE, SLOWED = 4.0, 2.0, 0.9


@dataclass(frozen=True)
class Admm:
    """x solves (A'A + rho K'K) x = A'y + rho K'(z - u), z = prox_(w R / rho)(K x + u), u grows by K x - z.

    K is the identity, or the regulariser's analysis where the equations have a closed form with it; else they are
    solved by conjugate gradients from where the last ones ended. rho follows the ratio of both residuals, ever less.

    tolerance: of both residuals, relative, at which a case ends. iterations: how many at most. penalty: the first
    rho, as a share of the largest eigenvalue of A'A.
    """

    tolerance: float = 1e-5
    iterations: int = 500
    penalty: float = 0.1

    def __post_init__(self) -> None:
        positive("method 'admm'", tolerance=self.tolerance, penalty=self.penalty)
        sized("method 'admm'", 10**7, iterations=self.iterations)

    def solve(self, problem: ReconstructionProblem, start: Tensor | None = None) -> Solved:
        """See `Method`. The images are those that the regulariser's map gave, or meet the data's equations."""
        images = problem.start() if start is None else clipped(start, problem.bounds)
        division = divided(problem, self.tolerance)
        progress = Progress(problem, images, self.tolerance, "residual")
        rho = problem.data_curvature() * self.penalty
        change = torch.full_like(rho, FIRST_CHANGE)
        kept = division.analysis(images)
        scaled = torch.zeros_like(kept)
        for _ in range(self.iterations):
            images = division.images(kept - scaled, rho, images)
            seen = division.analysis(images)
            relaxed = RELAXED * seen + (1 - RELAXED) * kept
            new = division.shrunk(relaxed + scaled, problem.weight / rho)
            scaled = scaled + relaxed - new
            primal, dual = _residuals(division, seen, new, kept, scaled)
            kept = new
            answer = division.answer(images, kept)
            if progress.ended(answer, torch.maximum(primal, dual), problem.objective(answer, value=division.value())):
                break
            factor = _factor(primal, dual, change)
            rho, scaled = rho * factor, scaled / by_case(factor, scaled)
            change = torch.where(factor == 1, change, 1 + (change - 1) * SLOWED)
        return progress.solved()


def _residuals(division: Division, seen: Tensor, new: Tensor, kept: Tensor, scaled: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) each: |K x - z| by the larger of both; |K'(z - last z)| by |K'u|."""
    largest = torch.maximum(squares(seen), squares(new)).clamp_min(1e-300)
    pulled = squares(division.synthesis(scaled))
    dual = squares(division.synthesis(new - kept))
    # Without a regulariser's pull there is nothing to compare with but the image itself.
    return (squares(seen - new) / largest).sqrt(), (dual / torch.maximum(pulled, largest * 1e-12)).sqrt()


def _factor(primal: Tensor, dual: Tensor, change: Tensor) -> Tensor:
    """Boyd et al. 2011, equation 3.13, by less and less so that rho settles."""
    larger, smaller = primal > UNBALANCED * dual, dual > UNBALANCED * primal
    return torch.where(larger, change, torch.where(smaller, 1 / change, torch.ones_like(change)))


method: type[Method] = Admm
