"""What losses of images share: one number a case, and total variation as a term beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from common.errors import StudyError
from common.study.checks import non_negative

Pixels = Literal["l1", "l2", "huber"]
PIXELS: tuple[Pixels, ...] = ("l1", "l2", "huber")
LEAST_GRADIENT = 1e-4
"""Beside which a gradient counts as none: the norm of a gradient of zero has no derivative."""


@dataclass(frozen=True)
class WithVariation:
    """total_variation: weight of the answer's total variation beside the loss, mean over pixels."""

    total_variation: float = 0.0

    def __post_init__(self) -> None:
        non_negative("loss", total_variation=self.total_variation)

    def beside(self, made: Tensor) -> Tensor | float:
        """(N,), or 0 where nothing is added."""
        return self.total_variation * variation(made) if self.total_variation else 0.0


def difference(made: Tensor, truth: Tensor) -> Tensor:
    """Raises StudyError where they are no images of one shape, as where classes are learned."""
    if made.shape != truth.shape:
        raise StudyError(
            "a loss of images compares answers and targets of one shape; here they are "
            f"{tuple(made.shape[1:])} and {tuple(truth.shape[1:])} a case."
        )
    return made - truth


def each(values: Tensor) -> Tensor:
    """(N,) means over all of a case."""
    return values.reshape(len(values), -1).mean(1)


def huber(difference: Tensor, delta: float) -> Tensor:
    """a^2 / 2 where |a| is at most delta, delta (|a| - delta / 2) beyond (Huber 1964)."""
    size = difference.abs()
    return torch.where(size <= delta, 0.5 * difference.square(), delta * (size - 0.5 * delta))


def pixel_loss(made: Tensor, truth: Tensor, pixels: Pixels) -> Tensor:
    """(N,) of the name, Huber's with a delta of 1."""
    away = difference(made, truth)
    if pixels == "l1":
        return each(away.abs())
    return each(away.square() if pixels == "l2" else huber(away, 1.0))


def variation(images: Tensor) -> Tensor:
    """(N,) isotropic total variation: mean over pixels of the norm of the gradient by forward differences.

    Rudin, Osher and Fatemi (1992). Beyond the border the last pixel goes on.
    """
    if images.ndim < 3:
        raise StudyError(f"loss.total_variation is of images; these answers are {tuple(images.shape[1:])} a case.")
    squares = torch.zeros_like(images)
    for axis in range(2, images.ndim):
        last = images.narrow(axis, images.shape[axis] - 1, 1)
        squares = squares + images.diff(dim=axis, append=last).square()
    return each((squares + LEAST_GRADIENT**2).sqrt() - LEAST_GRADIENT)
