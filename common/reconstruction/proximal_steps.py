"""Gradient steps on the smooth part of a problem, proximal ones on the rest: what ISTA and FISTA share."""

from __future__ import annotations

import torch
from torch import Tensor

from common.errors import StudyError
from common.reconstruction.inner_products import TINY, by_case, inner, squares
from common.reconstruction.problem import ReconstructionProblem, Solved, clipped
from common.reconstruction.progress import Progress
from common.reconstruction.regulariser import Limits, Proximable, ProximalMap, Quadratic, Valued

INNER_SHARE, FINEST, COARSEST = 0.1, 1e-8, 1e-4
"""A proximal map that is iterated is solved to this share of the outer tolerance, within limits."""
MOMENTUM = 3.0
"""k / (k + 3) is FISTA's (t_k - 1) / t_(k+1) but for its first steps; 6 and 10 were slower on MRI with wavelets."""
FIRST_STEPS, LATER_STEPS = 300, 30
"""Most iterations of it: its first call has all to do, later ones go on from where the last one ended."""


def descend(
    problem: ReconstructionProblem,
    start: Tensor | None,
    *,
    tolerance: float,
    iterations: int,
    momentum: bool,
    restart: bool,
) -> Solved:
    """x = prox(z - gradient(z) / L), z ahead of x by FISTA's momentum (Beck & Teboulle 2009), or x itself without.

    restart: forget the momentum of a case where its step goes against it (O'Donoghue & Candes 2015, eq. 12).
    """
    smooth, simple = _Smooth(problem), proximal_map(problem, tolerance)
    images = problem.start() if start is None else clipped(start, problem.bounds)
    misfit = problem.misfit(images)
    steps, progress = 1 / smooth.curvature(), Progress(problem, images, tolerance)
    down, step_weight = by_case(-steps, images), problem.weight * steps
    ahead, ahead_misfit = images, misfit
    age = torch.zeros(len(images), dtype=torch.float64, device=images.device)
    for _ in range(iterations):
        new = simple(torch.addcmul(ahead, down, smooth.gradient(ahead, ahead_misfit)), step_weight)
        new_misfit, change = problem.misfit(new), new - images
        moved = (squares(change) / squares(new).clamp_min(TINY)).sqrt()
        if progress.ended(new, moved, problem.objective(new, new_misfit, known_value(simple))):
            break
        if momentum:
            if restart:
                age = torch.where(inner(ahead - new, change) > 0, torch.zeros_like(age), age)
            share = age / (age + MOMENTUM)
            age = age + 1
            ahead = torch.addcmul(new, by_case(share, new), change)
            ahead_misfit = torch.lerp(misfit, new_misfit, by_case(1 + share, misfit))
        else:
            ahead, ahead_misfit = new, new_misfit
        images, misfit = new, new_misfit
    return progress.solved()


def known_value(simple: ProximalMap) -> Tensor | None:
    """R of the images that a map gave last, where it knows."""
    return simple.value if isinstance(simple, Valued) else None


def proximal_map(problem: ReconstructionProblem, tolerance: float) -> ProximalMap:
    """Of what is not smooth: a regulariser that is not quadratic, and bounds."""
    if isinstance(problem.regulariser, Quadratic):
        return lambda images, weight: clipped(images, problem.bounds)
    return proximal_map_alone(problem, tolerance)


def proximal_map_alone(problem: ReconstructionProblem, tolerance: float) -> ProximalMap:
    """Of regulariser and bounds, solved as finely as the outer tolerance asks where it is iterated."""
    prior = problem.regulariser
    if not isinstance(prior, Proximable):
        raise StudyError("the regulariser has neither a proximal map nor a quadratic form, which this method needs.")
    share = min(COARSEST, max(FINEST, INNER_SHARE * tolerance))
    return prior.proximal(problem.bounds, Limits(share, FIRST_STEPS, LATER_STEPS))


class _Smooth:
    """The data's term, and a regulariser that is quadratic."""

    def __init__(self, problem: ReconstructionProblem) -> None:
        self._problem = problem
        self._prior = problem.regulariser if isinstance(problem.regulariser, Quadratic) else None

    def curvature(self) -> Tensor:
        """(N,) float64: at least the largest of the smooth part."""
        data = self._problem.data_curvature()
        return (
            data if self._prior is None else data + self._problem.weight * self._prior.curvature(self._problem.axes)
        )

    def gradient(self, images: Tensor, misfit: Tensor) -> Tensor:
        """misfit: A x - y."""
        found = self._problem.linear.adjoint(misfit)
        if self._prior is not None:
            found = found + by_case(self._problem.weight, images) * self._prior.hessian(images)
        return found
