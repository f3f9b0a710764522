"""Which greys a view shows: contrast, brightness and gamma, of each channel by its own range."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.selfsupervision.pipeline import Chances
from common.study.checks import between

DARKEST = 1e-4
"""Added to what is raised to a power, so that the slope at the darkest grey is finite."""
FAINTEST_VARIANCE = 1e-12


def greys_of(images: Tensor) -> tuple[Tensor, Tensor]:
    """Least grey and range of greys of each case's channels, (N, C, 1, ...); a range of a flat image is not 0."""
    over = tuple(range(2, images.ndim))
    least = images.amin(over, keepdim=True)
    return least, (images.amax(over, keepdim=True) - least).clamp(min=torch.finfo(images.dtype).tiny ** 0.5)


def shaped(column: Tensor, images: Tensor) -> Tensor:
    """(N,) numbers, as they multiply images."""
    return column.to(images.dtype).reshape(-1, *(1,) * (images.ndim - 1))


@dataclass(frozen=True)
class Greys:
    """contrast: by which share greys are stretched about their mean, more or less, at most. brightness: by how many
    of their standard deviations they are moved, up or down, at most. gamma: the most that an exponent of greys
    between 0 and 1 differs from 1, as a logarithm: of .5, from .61 to 1.65. Each is off at 0.
    """

    contrast: float = 0.0
    brightness: float = 0.0
    gamma: float = 0.0

    def __post_init__(self) -> None:
        between("augmentation", 0.0, 1.0, contrast=self.contrast)
        between("augmentation", 0.0, 10.0, brightness=self.brightness)
        between("augmentation", 0.0, log(10), gamma=self.gamma)

    def chances(self, axes: int) -> int:
        """One each."""
        return self.numbers(axes)

    def numbers(self, axes: int) -> int:
        """Stretch, shift and exponent."""
        return 3 if self.contrast or self.brightness or self.gamma else 0

    def drawn(self, chances: Chances, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """(N, 3)."""
        stretch, shift, curve = (2 * chances - 1).T
        return np.stack([1 + self.contrast * stretch, self.brightness * shift, np.exp(self.gamma * curve)], axis=1)

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """First the curve, then the rest."""
        stretch, shift, exponent = (shaped(column, images) for column in drawn.unbind(1))
        over = tuple(range(2, images.ndim))
        least, span = greys_of(images)
        shares = (images - least) / span
        if self.gamma:
            shares = _curved(shares, exponent)
        mean = shares.mean(over, keepdim=True)
        spread = ((shares - mean).square().mean(over, keepdim=True) + FAINTEST_VARIANCE).sqrt()
        return shares * (stretch * span) + ((mean * (1 - stretch) + shift * spread) * span + least)


def _curved(shares: Tensor, exponent: Tensor) -> Tensor:
    """A power of greys from 0 to 1, which keeps both ends."""
    low, high = DARKEST**exponent, (1 + DARKEST) ** exponent
    return ((shares + DARKEST) ** exponent - low) / (high - low)
