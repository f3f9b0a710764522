"""What a classical method is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from math import isinf
from typing import Protocol

import torch
from torch import Tensor

from common.errors import StudyError
from common.reconstruction.imaging_operator import LinearMap
from common.reconstruction.inner_products import by_case, squares
from common.reconstruction.regulariser import Bounds, Regulariser

NORM_IS_EXACT_TO = 1.002
"""A map's stated norm is right to 1e-3: a step of one over its square times this is short enough."""


@dataclass(frozen=True)
class ReconstructionProblem:
    """min_x |A x - y|^2 / 2 + weight R(x), for x within bounds, one for each case.

    Attributes:
        linear: A.
        measured: y, (N, *measured_shape).
        regulariser: R.
        weight: (N,) float64, zero or more.
        bounds: what the image's values lie between, or None.
    """

    linear: LinearMap
    measured: Tensor
    regulariser: Regulariser
    weight: Tensor
    bounds: Bounds | None = None

    @property
    def axes(self) -> int:
        """Of space, without the channels."""
        return len(self.linear.image_shape) - 1

    def misfit(self, images: Tensor) -> Tensor:
        """A x - y."""
        return self.linear.forward(images) - self.measured

    def objective(self, images: Tensor, misfit: Tensor | None = None, value: Tensor | None = None) -> Tensor:
        """(N,) float64. misfit: A x - y, and value: R(x), where they are known."""
        known = self.regulariser.value(images) if value is None else value
        return squares(self.misfit(images) if misfit is None else misfit) / 2 + self.weight * known

    def data_curvature(self) -> Tensor:
        """(N,) float64, above zero: at least the largest eigenvalue of A'A."""
        squared = self.linear.norm().to(self.weight).expand(len(self.measured)).square()
        return (squared * NORM_IS_EXACT_TO).clamp_min(torch.finfo(torch.float64).tiny ** 0.5)

    def start(self) -> Tensor:
        """The least-squares image along A'y: A'y scaled to fit best, within bounds."""
        image = self.linear.adjoint(self.measured)
        along = squares(self.linear.forward(image))
        scale = torch.where(along > 0, squares(image) / along.clamp_min(1e-300), torch.zeros_like(along))
        return clipped(image * by_case(scale, image), self.bounds)


@dataclass(frozen=True)
class Solved:
    """A method's answer.

    Attributes:
        images: (N, C, *S), each as it was when its case ended.
        objective: (K, N) float64, by iteration, that of the start first. An exact solution has one row.
        iterations: how many were made for the case that took most.
        stopped: why: "exact", "residual" (of the equations, or of both halves of a divided problem), "relative
            change" (of the image), "fixed point", or "iterations", the limit.
    """

    images: Tensor
    objective: Tensor
    iterations: int
    stopped: str

    @property
    def final_objective(self) -> Tensor:
        """(N,) float64: that of the images."""
        return self.objective[-1]


class Method(Protocol):
    """A frozen dataclass of options in `common/reconstruction/methods/`."""

    def solve(self, problem: ReconstructionProblem, start: Tensor | None = None) -> Solved:
        """The images. start: (N, C, *S) to begin at. Raises StudyError where the method cannot answer the problem."""
        ...


def clipped(images: Tensor, bounds: Bounds | None) -> Tensor:
    """The nearest images within bounds."""
    return images if bounds is None else images.clamp(*bounds)


def check_bounds(bounds: Bounds | None) -> None:
    """Raise StudyError unless there are none, or the lower lies below the upper."""
    if bounds is not None and not (bounds[0] < bounds[1] and not (isinf(bounds[0]) and bounds[0] > 0)):
        raise StudyError(f"bounds of an image must rise, such as (0, inf) for none below zero; they are {bounds!r}.")
