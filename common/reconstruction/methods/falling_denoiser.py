"""Plug-and-play by half-quadratic splitting, with a denoiser that is told less and less noise (Zhang et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from common.reconstruction.alternating import ByImage
from common.reconstruction.filled_start import filled_start
from common.reconstruction.inner_products import squares
from common.reconstruction.problem import Method, ReconstructionProblem, Solved, clipped
from common.reconstruction.progress import Progress
from common.study.checks import positive, sized

WHERE = "method 'falling_denoiser'"


@dataclass(frozen=True)
class FallingDenoiser:
    """x = argmin |A x - y|^2 / 2 + rho |x - z|^2 / 2, then z = denoiser(x, s), while s falls by equal factors and rho
    is balance * weight / s^2 (Plug-and-play image restoration with deep denoiser prior, equations 6 to 9).

    weight is the variance of the data's noise, and its root the last s. Unlike 'plug_and_play' it is bounded by its
    steps: a learned denoiser is a network's, and need not come to rest. Where it does, it ends there.

    greatest: the first s, in the images' unit. least: where the data have less noise, the last s. steps: until the
    last s. balance: of prior and data. tolerance: relative change of the image at the last s. iterations: the most
    that are made.
    """

    greatest: float = 0.2
    least: float = 0.01
    steps: int = 30
    balance: float = 0.23
    tolerance: float = 1e-4
    iterations: int = 30

    def __post_init__(self) -> None:
        positive(WHERE, greatest=self.greatest, least=self.least, balance=self.balance, tolerance=self.tolerance)
        sized(WHERE, 10**7, steps=self.steps, iterations=self.iterations)

    def solve(self, problem: ReconstructionProblem, start: Tensor | None = None) -> Solved:
        """See `Method`. Without a value of the regulariser, the objective is the data's misfit."""
        kept = filled_start(problem) if start is None else clipped(start, problem.bounds)
        division = ByImage(problem, self.tolerance)
        progress = Progress(problem, kept, self.tolerance, "fixed point")
        for iteration in range(self.iterations):
            noise = self.noise(problem.weight, iteration)
            rho = self.balance * problem.weight.clamp_min(self.least**2) / noise.square()
            new = division.shrunk(division.images(kept, rho, kept), noise.square())
            still_falling = iteration < self.steps
            change = torch.full_like(noise, torch.inf) if still_falling else _relative_change(new, kept)
            kept = new
            if progress.ended(kept, change, problem.objective(kept)):
                break
        return progress.solved()

    def noise(self, weight: Tensor, iteration: int) -> Tensor:
        """(N,) standard deviations that the denoiser is told in an iteration, counted from 0."""
        last = weight.sqrt().clamp_min(self.least)
        first = last.clamp_min(self.greatest)
        share = min(1.0, iteration / max(1, self.steps - 1))
        return first ** (1 - share) * last**share


def _relative_change(new: Tensor, old: Tensor) -> Tensor:
    """(N,): |new - old| / |new|, zero where both are zero."""
    moved, size = squares(new - old).sqrt(), squares(new).sqrt()
    return torch.where(moved > 0, moved / size.clamp_min(1e-300), torch.zeros_like(moved))


method: type[Method] = FallingDenoiser
