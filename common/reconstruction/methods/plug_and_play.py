"""Plug-and-play ADMM: a denoiser in the place of a proximal map, held so that it ends (Chan et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from common.reconstruction.alternating import ByImage
from common.reconstruction.filled_start import filled_start
from common.reconstruction.inner_products import squares
from common.reconstruction.problem import Method, ReconstructionProblem, Solved, clipped
from common.reconstruction.progress import Progress
from common.study.checks import between, positive, probability, sized


@dataclass(frozen=True)
class PlugAndPlay:
    """Chan, Wang & Elgendy 2017, algorithm 1: the denoiser's noise is sqrt(weight / rho), rho never falls.

    It ends at a fixed point whatever the denoiser is, because rho grows by `growth` whenever an iteration moves no
    less than `decline` times the one before (their theorem 1), and because the denoiser is held to be a bounded one
    (`Denoiser`). weight is best the variance of the data's noise. Takes any regulariser with a proximal map.

    noise: standard deviation that the denoiser is asked for first, in the images' unit. growth: of rho, above one.
    decline: of the movement that leaves rho as it is. tolerance: of the movement a pixel, relative to the image's.
    iterations: how many at most.
    """

    noise: float = 0.1
    growth: float = 1.1
    decline: float = 0.95
    tolerance: float = 1e-4
    iterations: int = 100

    def __post_init__(self) -> None:
        positive("method 'plug_and_play'", noise=self.noise, tolerance=self.tolerance)
        between("method 'plug_and_play'", 1.001, 100.0, growth=self.growth)
        probability("method 'plug_and_play'", decline=self.decline)
        sized("method 'plug_and_play'", 10**7, iterations=self.iterations)

    def solve(self, problem: ReconstructionProblem, start: Tensor | None = None) -> Solved:
        """See `Method`. Without a value of the regulariser, the objective is the data's misfit."""
        images = filled_start(problem) if start is None else clipped(start, problem.bounds)
        division, progress = (
            ByImage(problem, self.tolerance),
            Progress(problem, images, self.tolerance, "fixed point"),
        )
        rho = problem.weight.clamp_min(torch.finfo(torch.float64).tiny ** 0.5) / self.noise**2
        kept, scaled = images, torch.zeros_like(images)
        last = torch.full_like(rho, torch.inf)
        for _ in range(self.iterations):
            new = division.images(kept - scaled, rho, images)
            shrunk = division.shrunk(new + scaled, problem.weight / rho)
            dual = scaled + new - shrunk
            moved = sum(squares(a - b).sqrt() for a, b in ((new, images), (shrunk, kept), (dual, scaled)))
            images, kept, scaled = new, shrunk, dual
            movement = torch.as_tensor(moved) / squares(kept).sqrt().clamp_min(1e-300)
            if progress.ended(kept, movement, problem.objective(kept)):
                break
            rho = torch.where(movement >= self.decline * last, rho * self.growth, rho)
            last = movement
        return progress.solved()


method: type[Method] = PlugAndPlay
