"""A box of an image that a view does not show (DeVries and Taylor 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.selfsupervision.pipeline import Chances
from common.study.checks import between


@dataclass(frozen=True)
class CutOut:
    """cut_out: hidden share of the area or volume, at most; off at 0. The mean of the image stands there instead."""

    cut_out: float = 0.0

    def __post_init__(self) -> None:
        between("augmentation", 0.0, 0.9, cut_out=self.cut_out)

    def chances(self, axes: int) -> int:
        """How much, and where along each axis."""
        return 1 + axes

    def numbers(self, axes: int) -> int:
        """Half the sides' share of the image's, and the middle, from -1 to 1."""
        return 1 + axes if self.cut_out else 0

    def drawn(self, chances: Chances, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """(N, 1 + axes). The box lies within the image."""
        side = (self.cut_out * chances[:, :1]) ** (1 / (len(shape) - 1))
        return np.concatenate([side, (2 * chances[:, 1:] - 1) * (1 - side)], axis=1)

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """Of every channel."""
        told, axes = drawn.to(images.dtype), images.ndim - 2
        inside = torch.ones((), dtype=torch.bool, device=images.device)
        for axis, length in enumerate(images.shape[2:]):
            places = (2 * torch.arange(length, dtype=images.dtype, device=images.device) + 1) / length - 1
            along = (places - told[:, axis + 1, None]).abs() < told[:, :1]
            inside = inside & along.reshape(-1, 1, *(length if one == axis else 1 for one in range(axes)))
        shares = images / images.shape[2:].numel()  # a sum of large greys would have no end
        mean = shares.sum(tuple(range(2, images.ndim)), keepdim=True)
        return torch.where(inside, mean, images)
