"""Gradient steps on the smooth part of a problem, proximal ones on the rest: what ISTA and FISTA share."""

from __future__ import annotations

import torch
from torch import Tensor

from common.errors import StudyError
from common.reconstruction.inner_products import by_case, inner
from common.reconstruction.problem import Problem, Solved, clipped
from common.reconstruction.progress import Progress, relative_change
from common.reconstruction.regulariser import Limits, Proximable, ProximalMap, Quadratic

INNER_SHARE, FINEST, COARSEST = 0.1, 1e-8, 1e-4
"""A proximal map that is iterated is solved to this share of the outer tolerance, within limits."""
FIRST_STEPS, LATER_STEPS = 300, 30
"""Most iterations of it: its first call has all to do, later ones go on from where the last one ended."""


def descend(
    problem: Problem, start: Tensor | None, *, tolerance: float, iterations: int, momentum: bool, restart: bool
) -> Solved:
    """x = prox(z - gradient(z) / L), z ahead of x by FISTA's momentum (Beck & Teboulle 2009), or x itself without.

    restart: forget the momentum of a case where its step goes against it (O'Donoghue & Candes 2015, eq. 12).
    """
    smooth = _Smooth(problem)
    images = problem.start() if start is None else clipped(start, problem.bounds)
    simple = proximal_map(problem, tolerance)
    steps, progress = 1 / smooth.curvature(), Progress(problem, images, tolerance)
    mapped = problem.linear.forward(images)
    ahead, ahead_mapped, age = images, mapped, torch.ones(len(images), dtype=torch.float64, device=images.device)
    step = by_case(steps, images)
    for _ in range(iterations):
        new = simple(ahead - step * smooth.gradient(ahead, ahead_mapped), problem.weight * steps)
        new_mapped = problem.linear.forward(new)
        change = new - images
        if progress.ended(new, relative_change(new, images), problem.objective(new, new_mapped)):
            break
        if not momentum:
            ahead, ahead_mapped = new, new_mapped
        else:
            if restart:
                age = torch.where(inner(ahead - new, change) > 0, torch.ones_like(age), age)
            older, age = age, (1 + (1 + 4 * age**2).sqrt()) / 2
            share = (older - 1) / age
            ahead = new + by_case(share, new) * change
            ahead_mapped = new_mapped + by_case(share, mapped) * (new_mapped - mapped)
        images, mapped = new, new_mapped
    return progress.solved()


def proximal_map(problem: Problem, tolerance: float) -> ProximalMap:
    """Of what is not smooth: a regulariser that is not quadratic, and bounds."""
    if isinstance(problem.regulariser, Quadratic):
        return lambda images, weight: clipped(images, problem.bounds)
    return proximal_map_alone(problem, tolerance)


def proximal_map_alone(problem: Problem, tolerance: float) -> ProximalMap:
    """Of regulariser and bounds, solved as finely as the outer tolerance asks where it is iterated."""
    prior = problem.regulariser
    if not isinstance(prior, Proximable):
        raise StudyError("the regulariser has neither a proximal map nor a quadratic form, which this method needs.")
    share = min(COARSEST, max(FINEST, INNER_SHARE * tolerance))
    return prior.proximal(problem.bounds, Limits(share, FIRST_STEPS, LATER_STEPS))


class _Smooth:
    """The data's term, and a regulariser that is quadratic."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._prior = problem.regulariser if isinstance(problem.regulariser, Quadratic) else None

    def curvature(self) -> Tensor:
        """(N,) float64: at least the largest of the smooth part."""
        data = self._problem.data_curvature()
        return (
            data if self._prior is None else data + self._problem.weight * self._prior.curvature(self._problem.axes)
        )

    def gradient(self, images: Tensor, mapped: Tensor) -> Tensor:
        """mapped: A x."""
        found = self._problem.linear.adjoint(mapped - self._problem.measured)
        if self._prior is not None:
            found = found + by_case(self._problem.weight, images) * self._prior.hessian(images)
        return found
