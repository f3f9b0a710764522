"""Point spreads: weights of the pixels about a point, and convolution with them by Fourier transform."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SAMPLES = 64
"""Of a motion's path, for each pixel of its length."""


def gaussian(sizes: tuple[int, ...], sd_pixels: float) -> NDArray[np.float64]:
    """Samples of a Gaussian about the middle, of sum 1. sizes: of every axis, even ones as well."""
    weights = np.ones(())
    for size in sizes:
        offsets = np.arange(size) - (size - 1) / 2
        line = np.exp(-(offsets**2) / (2 * sd_pixels**2)) if sd_pixels > 0 else (offsets == 0).astype(float)
        weights = np.multiply.outer(weights, line)
    return np.asarray(weights / weights.sum())


def motion(sizes: tuple[int, ...], length_pixels: float, degrees: float) -> NDArray[np.float64]:
    """A straight path through the middle in the plane of the last two axes, of sum 1, by bilinear weights.

    degrees: 0 along the last axis, 90 towards lower indices of the one before, as one draws.
    """
    many = max(1, ceil(length_pixels * SAMPLES))
    along = ((np.arange(many) + 0.5) / many - 0.5) * length_pixels
    angle = np.deg2rad(degrees)
    rows = (sizes[-2] - 1) / 2 - along * np.sin(angle)
    columns = (sizes[-1] - 1) / 2 + along * np.cos(angle)
    plane = np.zeros((sizes[-2] + 1, sizes[-1] + 1))
    first, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = rows - first, columns - left
    for row, column, weight in (
        (first, left, (1 - down) * (1 - right)),
        (first + 1, left, down * (1 - right)),
        (first, left + 1, (1 - down) * right),
        (first + 1, left + 1, down * right),
    ):
        np.add.at(plane, (row, column), weight)
    weights = np.zeros(sizes)
    weights[tuple(size // 2 for size in sizes[:-2])] = plane[:-1, :-1] / many
    return weights


def transfer(point_spread: Tensor, size: tuple[int, ...]) -> Tensor:
    """(N, 1, *half of size) complex: the real Fourier transform of a point spread on a grid of `size`.

    point_spread: (N, *K), its middle (K - 1) // 2 at the grid's origin; parts beyond the grid are wrapped.
    """
    wrapped = point_spread
    for axis, (kernel, side) in enumerate(zip(point_spread.shape[1:], size, strict=True), start=1):
        wrapped = _wrapped(wrapped, axis, side, (kernel - 1) // 2)
    spectrum: Tensor = torch.fft.rfftn(wrapped, dim=tuple(range(1, wrapped.dim())))[:, None]
    return spectrum


@dataclass(frozen=True)
class Transfer:
    """Of point spreads (N, *K) on a grid of `size`, kept from call to call in each precision."""

    point_spread: Tensor
    size: tuple[int, ...]
    _kept: dict[tuple[torch.dtype, torch.device], Tensor] = field(default_factory=dict, repr=False, compare=False)

    def like(self, images: Tensor) -> Tensor:
        """(N, 1, *half of size), in the images' precision and on their device."""
        if self.point_spread.requires_grad:
            return transfer(self.point_spread.to(images), self.size)
        key = images.dtype, images.device
        if key not in self._kept:
            self._kept[key] = transfer(self.point_spread.to(images), self.size)
        return self._kept[key]


def _wrapped(weights: Tensor, axis: int, side: int, middle: int) -> Tensor:
    """On a circle of `side` places, the middle at place 0."""
    places = (torch.arange(weights.shape[axis], device=weights.device) - middle) % side
    shape = list(weights.shape)
    shape[axis] = side
    return weights.new_zeros(shape).index_add(axis, places, weights)


def convolved(images: Tensor, spectrum: Tensor) -> Tensor:
    """(N, C, *S) convolved on a circle with what has the transfer function `spectrum`."""
    axes = tuple(range(2, images.dim()))
    blurred: Tensor = torch.fft.irfftn(torch.fft.rfftn(images, dim=axes) * spectrum, s=images.shape[2:], dim=axes)
    return blurred
