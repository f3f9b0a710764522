"""A denoiser in the place of a regulariser: its map stands for the proximal map of what it knows of images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from common.reconstruction.inner_products import by_case, squares
from common.reconstruction.problem import clipped
from common.reconstruction.regulariser import Bounds, Limits, ProximalMap

FARTHEST = 10.0
"""A denoiser that moves an image by more than so many standard deviations a pixel is held at that."""


@dataclass(frozen=True)
class Denoiser:
    """denoise: images (N, C, *S) and (N,) float64, the noise's standard deviation, to images as they were before.

    It is asked at the standard deviation sqrt(weight). What it changes is held at `FARTHEST` of these a pixel on
    average, so that it is a bounded denoiser (Chan et al. 2017, definition 1), whatever the callable does. It has no
    value: an objective is then the data's misfit alone.
    """

    convex: ClassVar[bool] = False

    denoise: Callable[[Tensor, Tensor], Tensor]

    def value(self, images: Tensor) -> Tensor:
        """Zeros: none is known."""
        return torch.zeros(len(images), dtype=torch.float64, device=images.device)

    def proximal(self, bounds: Bounds | None, limits: Limits) -> ProximalMap:
        """The denoiser, held, then within bounds."""
        return lambda images, weight: clipped(self.held(images, weight.sqrt()), bounds)

    def held(self, images: Tensor, noise: Tensor) -> Tensor:
        """Denoised images, moved by `FARTHEST` times the noise a pixel at most."""
        change = self.denoise(images, noise).to(images) - images
        length = (squares(change) / change[0].numel()).sqrt()
        share = (FARTHEST * noise / length.clamp_min(1e-300)).clamp_max(1)
        return images + by_case(share, change) * change
