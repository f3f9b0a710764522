"""What a blur and what ghosts do to an image: one matrix along each axis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import pi

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.selfsupervision.pipeline import Chances
from common.study.checks import between

LARGEST_BLUR = 32.0
LEAST_SIGMA = 1e-3
"""Pixels; so narrow a bell is one pixel exactly."""
FURTHEST = 50.0
"""Squared standard deviations; a bell is below 2e-11 there."""
FEWEST_GHOSTS, MOST_GHOSTS = 2, 5


@dataclass(frozen=True)
class Blur:
    """blur_pixels: standard deviation of a Gaussian, at most; off at 0."""

    blur_pixels: float = 0.0

    def __post_init__(self) -> None:
        between("augmentation", 0.0, LARGEST_BLUR, blur_pixels=self.blur_pixels)

    def chances(self, axes: int) -> int:
        """One."""
        return self.numbers(axes)

    def numbers(self, axes: int) -> int:
        """The deviation."""
        return 1 if self.blur_pixels else 0

    def drawn(self, chances: Chances, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """(N, 1) pixels."""
        return self.blur_pixels * chances

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """A flat image stays flat: at an edge the bell is of what is inside."""
        sigma = drawn.to(images.dtype)[:, :, None].clamp(min=LEAST_SIGMA)
        bells = {length: _bells(length, sigma) for length in set(images.shape[2:])}
        return _along_axes(images, (bells[length] for length in images.shape[2:]))


@dataclass(frozen=True)
class Ghosts:
    """ghosting: by which share every second to fifth line of k-space is weakened along one axis, at most, as by
    breathing or pulsation, so that fainter copies of an image lie over it (TorchIO's RandomGhosting does so, Perez-
    Garcia et al. 2021); off at 0. The mean of an image stays.
    """

    ghosting: float = 0.0

    def __post_init__(self) -> None:
        between("augmentation", 0.0, 1.0, ghosting=self.ghosting)

    def chances(self, axes: int) -> int:
        """How strong, how many, along which axis."""
        return 3

    def numbers(self, axes: int) -> int:
        """How many, and how strong along each axis."""
        return 1 + axes if self.ghosting else 0

    def drawn(self, chances: Chances, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """(N, 1 + axes)."""
        strength, many, place = chances.T
        axes = len(shape) - 1
        along = np.floor(place * axes)[:, None] == np.arange(axes)
        ghosts = FEWEST_GHOSTS + np.floor(many * (1 + MOST_GHOSTS - FEWEST_GHOSTS))
        return np.column_stack([ghosts, along * (self.ghosting * strength)[:, None]])

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """Of each axis in turn; all but one leave the image as it is."""
        told = drawn.to(images.dtype)
        sides = images.shape[2:]
        matrices = (_combs(side, told[:, :1], told[:, axis : axis + 1]) for axis, side in enumerate(sides, 1))
        return _along_axes(images, matrices)


def _along_axes(images: Tensor, matrices: Iterator[Tensor]) -> Tensor:
    """(N, C, *S) images, each axis times its (N, L, L) matrices."""
    for axis, matrix in enumerate(matrices, 2):
        moved = images.movedim(axis, -1)
        lines = moved.flatten(1, -2) @ matrix.transpose(1, 2)
        images = lines.reshape(moved.shape).movedim(-1, axis)
    return images


def _bells(length: int, sigma: Tensor) -> Tensor:
    """(N, L, L) weights, rows of sum 1."""
    places = torch.arange(length, dtype=sigma.dtype, device=sigma.device)
    apart = ((places[:, None] - places) / sigma).square()
    weights = torch.exp(-0.5 * apart.clamp(max=FURTHEST)) * (apart < FURTHEST)  # numbers all but 0 are slow
    return weights / weights.sum(2, keepdim=True)


def _combs(length: int, ghosts: Tensor, strength: Tensor) -> Tensor:
    """(N, L, L) circulant matrices: what weakened lines of k-space are in the image. ghosts, strength: (N, 1)."""
    lines = torch.arange(length // 2 + 1, dtype=ghosts.dtype, device=ghosts.device)
    weakened = (torch.remainder(lines, ghosts) == 0) & (lines > 0)
    spread = (1 - strength * weakened) @ _waves(length).to(ghosts.dtype).to(ghosts.device)
    places = torch.arange(length, device=ghosts.device)
    found: Tensor = spread[:, (places[:, None] - places) % length]
    return found


@cache
def _waves(length: int) -> Tensor:
    """(L // 2 + 1, L) float64: what each line of k-space of strength 1, with its mirror image, is in the image."""
    lines, places = torch.arange(length // 2 + 1, dtype=torch.float64), torch.arange(length, dtype=torch.float64)
    alone = (lines == 0) | (2 * lines == length)
    return torch.where(alone, 1, 2)[:, None] / length * torch.cos(2 * pi / length * lines[:, None] * places)
