"""A problem as min_x G(x) + F(M x), with M the map and the regulariser's analysis, each divided by its norm.

The objective is divided by |A|^2, so that the data's block is |v - y / |A||^2 / 2 for v = A x / |A|.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from common.errors import StudyError
from common.reconstruction.inner_products import by_case, squares
from common.reconstruction.problem import ReconstructionProblem, clipped
from common.reconstruction.regulariser import Limits, Proximable, ProximalMap, Split

Parts = list[Tensor]
"""A dual, or M x: the data's part, and the regulariser's where it has one."""


class Blocks:
    """The parts of one problem, normalised. A regulariser that is not split joins G by its proximal map."""

    def __init__(self, problem: ReconstructionProblem) -> None:
        prior = problem.regulariser
        self._problem = problem
        self._split = prior if isinstance(prior, Split) else None
        self._simple = None if self._split is not None else _simple(problem)
        self._norm = problem.data_curvature().sqrt()
        self._split_norm = 1.0 if self._split is None else self._split.split_norm(problem.axes)
        self._weight = problem.weight / self._norm**2
        self._data = problem.measured / by_case(self._norm, problem.measured)
        self.pull = squares(self._adjoint_data(self._data)).sqrt().clamp_min(1e-300)

    def forward(self, images: Tensor) -> Parts:
        """M x."""
        mapped = self._problem.linear.forward(images)
        parts = [mapped / by_case(self._norm, mapped)]
        return parts if self._split is None else [*parts, self._split.analysis(images) / self._split_norm]

    def adjoint(self, dual: Parts) -> Tensor:
        """M' d."""
        pulled = self._adjoint_data(dual[0])
        return pulled if self._split is None else pulled + self._split.synthesis(dual[1]) / self._split_norm

    def descend(self, images: Tensor, step: Tensor) -> Tensor:
        """The proximal map of G."""
        if self._simple is None:
            return clipped(images, self._problem.bounds)
        return self._simple(images, step * self._weight)

    def ascend(self, dual: Parts, mapped: Parts, step: Tensor) -> Parts:
        """The proximal map of F* at dual + step M x, by Moreau's identity for the regulariser's part."""
        size = by_case(step, dual[0])
        found = [(dual[0] + size * (mapped[0] - self._data)) / (1 + size)]
        if self._split is None:
            return found
        norm, along = self._split_norm, dual[1] / by_case(step, dual[1]) + mapped[1]
        kept = self._split.shrink(along * norm, self._weight * norm**2 / step) / norm
        return [*found, by_case(step, along) * (along - kept)]

    def objective(self, images: Tensor, mapped: Parts) -> Tensor:
        """(N,) float64, of the problem as it was asked."""
        return self._problem.objective(images, mapped[0] * by_case(self._norm, mapped[0]) - self._problem.measured)

    def _adjoint_data(self, part: Tensor) -> Tensor:
        pulled = self._problem.linear.adjoint(part)
        return pulled / by_case(self._norm, pulled)


def _simple(problem: ReconstructionProblem) -> ProximalMap:
    if not isinstance(problem.regulariser, Proximable):
        raise StudyError("the regulariser has neither an analysis nor a proximal map, which this method needs.")
    return problem.regulariser.proximal(problem.bounds, Limits())


def minus(one: Sequence[Tensor], other: Sequence[Tensor]) -> Parts:
    """Part by part."""
    return [a - b for a, b in zip(one, other, strict=True)]


def norms(parts: Sequence[Tensor]) -> Tensor:
    """(N,) float64: over all parts together."""
    return torch.stack([squares(part) for part in parts]).sum(0).sqrt()
