"""(A'A + w H) x = r, the normal equations of a quadratic problem, by conjugate gradients, case by case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from common.reconstruction.inner_products import by_case, inner, squares


@dataclass(frozen=True)
class Descent:
    """x: the images. residual: (N,) |r - M x| / |r|. steps: that were made."""

    images: Tensor
    residual: Tensor
    steps: int


def conjugate_gradients(
    normal: Callable[[Tensor], Tensor],
    right: Tensor,
    start: Tensor,
    tolerance: float,
    iterations: int,
    watch: Callable[[Tensor, Tensor], object] | None = None,
) -> Descent:
    """Solve M x = r for M symmetric with no eigenvalue below zero (Hestenes & Stiefel 1952).

    normal: M of a batch. right: r. tolerance: of |r - M x| / |r| at which a case rests. watch: told images and
    residual after every step.
    """
    images, residual = start.clone(), right - normal(start)
    direction, size = residual.clone(), squares(residual)
    least = squares(right).clamp_min(1e-300)
    for done in range(iterations):
        open_ = size > tolerance**2 * least
        if not bool(open_.any()):
            return Descent(images, (size / least).sqrt(), done)
        mapped = normal(direction)
        curvature = inner(direction, mapped)
        step = torch.where(open_ & (curvature > 0), size / curvature.clamp_min(1e-300), torch.zeros_like(size))
        images.addcmul_(by_case(step, images), direction)
        residual.addcmul_(by_case(-step, images), mapped)
        if watch is not None:
            watch(images, (size / least).sqrt())
        before, size = size, torch.where(open_, squares(residual), size)
        direction.mul_(by_case(size / before.clamp_min(1e-300), direction)).add_(residual)
    return Descent(images, (size / least).sqrt(), iterations)
