"""Chambolle and Pock's primal-dual method, on normalised operators, with steps that balance themselves."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from common.reconstruction.inner_products import by_case, squares
from common.reconstruction.primal_dual import Blocks, minus, norms
from common.reconstruction.problem import Method, ReconstructionProblem, Solved, clipped
from common.reconstruction.progress import Progress
from common.study.checks import positive, sized

LARGEST_STEP = 0.99 / 2**0.5
"""Both steps' product is its square; the squared norm of A / |A| and K / |K| together is two at most."""
FIRST_CHANGE, SLOWED, UNBALANCED = 0.5, 0.95, 1.5


@dataclass(frozen=True)
class ChambollePock:
    """Chambolle & Pock 2011, algorithm 1, on A / |A| and K / |K|: no step depends on the scale of either.

    Needs forward and adjoint alone, no proximal map that is iterated and no equations to solve; takes bounds. The
    ratio of its steps follows that of its residuals, ever less (Goldstein et al. 2015, algorithm 1).

    tolerance: of both residuals, as shares of |A'y| and of |A x|, at which a case ends. iterations: how many at most.
    """

    tolerance: float = 1e-5
    iterations: int = 5000

    def __post_init__(self) -> None:
        positive("method 'chambolle_pock'", tolerance=self.tolerance)
        sized("method 'chambolle_pock'", 10**7, iterations=self.iterations)

    def solve(self, problem: ReconstructionProblem, start: Tensor | None = None) -> Solved:
        """See `Method`."""
        images = problem.start() if start is None else clipped(start, problem.bounds)
        blocks, steps = Blocks(problem), _Steps.first(images)
        progress = Progress(problem, images, self.tolerance, "residual")
        mapped = blocks.forward(images)
        dual = [torch.zeros_like(one) for one in mapped]
        pulled = torch.zeros_like(images)
        for _ in range(self.iterations):
            tau, sigma = steps.primal, steps.dual
            new = blocks.descend(images - by_case(tau, images) * pulled, tau)
            new_mapped = blocks.forward(new)
            new_dual = blocks.ascend(dual, [2 * a - b for a, b in zip(new_mapped, mapped, strict=True)], sigma)
            new_pulled = blocks.adjoint(new_dual)
            primal = squares((images - new) / by_case(tau, images) - (pulled - new_pulled)).sqrt() / blocks.pull
            ahead = [one / by_case(sigma, one) for one in minus(dual, new_dual)]
            other = norms(minus(ahead, minus(mapped, new_mapped))) / norms(new_mapped).clamp_min(1e-300)
            images, mapped, dual, pulled = new, new_mapped, new_dual, new_pulled
            if progress.ended(images, torch.maximum(primal, other), blocks.objective(images, mapped)):
                break
            steps.balance(primal, other)
        return progress.solved()


@dataclass
class _Steps:
    """(N,) float64 each. change: by which share both are moved next."""

    primal: Tensor
    dual: Tensor
    change: Tensor

    @classmethod
    def first(cls, images: Tensor) -> _Steps:
        ones = torch.ones(len(images), dtype=torch.float64, device=images.device)
        return cls(ones * LARGEST_STEP, ones * LARGEST_STEP, ones * FIRST_CHANGE)

    def balance(self, primal: Tensor, other: Tensor) -> None:
        """The step whose residual is much the larger grows, the other shrinks by as much."""
        longer, shorter = primal > UNBALANCED * other, other > UNBALANCED * primal
        factor = torch.where(longer, 1 / (1 - self.change), torch.where(shorter, 1 - self.change, 1.0))
        self.primal, self.dual = self.primal * factor, self.dual / factor
        self.change = torch.where(longer | shorter, self.change * SLOWED, self.change)


method: type[Method] = ChambollePock
