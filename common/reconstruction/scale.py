"""How strong a case is, so that networks see all at one strength, whatever unit a scanner writes."""

from __future__ import annotations

from torch import Tensor

LEAST = 1e-6
"""Of an image of zeros."""


def scale_of(images: Tensor) -> Tensor:
    """(N,) root mean square of each image. A linear map keeps what data and images are divided by."""
    return images.flatten(1).square().mean(1).clamp(min=LEAST**2).sqrt()


def spread_over(values: Tensor, like: Tensor) -> Tensor:
    """(N, 1, ...) numbers of cases for tensors (N, ...)."""
    return values.reshape(-1, *[1] * (like.dim() - 1))
