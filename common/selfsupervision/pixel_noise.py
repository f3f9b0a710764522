"""Noise of pixels that is the same on every device: windows of one table of normal numbers, drawn by place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.seeding import generator
from common.selfsupervision.greys import greys_of, shaped
from common.selfsupervision.pipeline import Chances
from common.study.checks import between

BITS = 18
TABLE = 1 << BITS
FAINTEST = 1e-12
"""Added under a root, whose slope at 0 has no end."""

Kind = Literal["gaussian", "rician", "quantum"]


@dataclass(frozen=True)
class PixelNoise:
    """noise: standard deviation of it, at most, as a share of the range of greys; off at 0. kind: gaussian, the same
    everywhere; rician, of the magnitude of a complex number, as in magnetic resonance, where the background is never
    below its least (Gudbjartsson and Patz 1995); quantum, whose variance grows with the grey, as of counted photons.
    """

    noise: float = 0.0
    kind: Kind = "gaussian"

    def __post_init__(self) -> None:
        between("augmentation", 0.0, 1.0, noise=self.noise)

    def chances(self, axes: int) -> int:
        """One each."""
        return self.numbers(axes)

    def numbers(self, axes: int) -> int:
        """The deviation; of two noises where they begin in the table; by what they go on, and turn at its end."""
        return 5 if self.noise else 0

    def drawn(self, chances: Chances, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """(N, 5); all but the first are whole numbers below 2 ** 18, so that float32 holds them."""
        places = np.floor(chances[:, 1:] * TABLE)
        places[:, 2] += 1 - places[:, 2] % 2  # odd, so that a window passes every number before one comes twice
        return np.column_stack([self.noise * chances[:, 0], places])

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """In every channel and pixel another."""
        least, span = greys_of(images)
        deviation, first, second, stride, turn = drawn.unbind(1)
        spread, noise = shaped(deviation, images), _noise(images, first, stride, turn)
        if self.kind == "gaussian":
            return images + spread * noise * span
        shares = (images - least) / span
        if self.kind == "quantum":
            return images + spread * noise * (shares.clamp(min=0) + FAINTEST).sqrt() * span
        beside = spread * _noise(images, second, stride, turn)
        return least + ((shares + spread * noise).square() + beside.square() + FAINTEST).sqrt() * span


def _noise(images: Tensor, start: Tensor, stride: Tensor, turn: Tensor) -> Tensor:
    """Normal numbers, as many as the images have."""
    count = images.shape[1:].numel()
    places = torch.arange(count, device=images.device)
    found = start.long()[:, None] + places * stride.long()[:, None]
    if count > TABLE:
        found = found + (places >> BITS) * turn.long()[:, None]
    return _table(images.dtype).to(images.device)[found & (TABLE - 1)].reshape(images.shape)


@cache
def _table(dtype: torch.dtype) -> Tensor:
    numbers = generator(0, "pixel noise").standard_normal(TABLE)
    return torch.from_numpy(numbers).to(dtype)
