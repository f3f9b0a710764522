"""Images and volumes as rows of patches, and where each patch lies."""

from __future__ import annotations

from itertools import chain
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SLOWEST = 10_000.0
"""Ratio of the longest to the shortest wavelength of positions (Vaswani et al. 2017, section 3.5)."""


def patchify(images: Tensor, patch: tuple[int, ...]) -> Tensor:
    """(N, C, *S) -> (N, T, P): patches in the order of rows, each with all its pixels, channels innermost."""
    axes, grid = len(patch), patch_grid(tuple(images.shape[2:]), patch)
    parts = images.reshape(images.shape[0], images.shape[1], *chain(*zip(grid, patch, strict=True)))
    order = (0, *range(2, 2 + 2 * axes, 2), *range(3, 3 + 2 * axes, 2), 1)
    return parts.permute(order).reshape(images.shape[0], prod(grid), prod(patch) * images.shape[1])


def unpatchify(patches: Tensor, patch: tuple[int, ...], sides: tuple[int, ...]) -> Tensor:
    """(N, T, P) -> (N, C, *sides): what `patchify` was given."""
    axes, grid = len(patch), patch_grid(sides, patch)
    parts = patches.reshape(len(patches), *grid, *patch, -1)
    order = (0, 1 + 2 * axes, *chain(*((1 + axis, 1 + axes + axis) for axis in range(axes))))
    return parts.permute(order).reshape(len(patches), -1, *sides)


def sincos_positions(grid: tuple[int, ...], width: int) -> Tensor:
    """(T, width) float32: sines and cosines of each patch's place, an equal share of the numbers for every axis.

    As in MAE (He et al. 2022) for two axes; numbers that cannot be shared out are 0.
    """
    waves = width // (2 * len(grid))
    rates = SLOWEST ** (-np.arange(waves) / max(1, waves))
    places = np.stack(np.meshgrid(*(np.arange(side) for side in grid), indexing="ij"), -1).reshape(-1, len(grid))
    shares: list[NDArray[np.float64]] = []
    for axis in range(len(grid)):
        angles = places[:, axis, None] * rates
        shares += [np.sin(angles), np.cos(angles)]
    found = np.zeros((len(places), width))
    found[:, : 2 * waves * len(grid)] = np.concatenate(shares, axis=1)
    return torch.from_numpy(found.astype(np.float32))


def chosen(tokens: Tensor, places: Tensor) -> Tensor:
    """(N, K, W) the tokens (N, T, W) at `places` (N, K)."""
    return tokens.gather(1, places[:, :, None].expand(-1, -1, tokens.shape[2]))


def patch_grid(sides: tuple[int, ...], patch: tuple[int, ...]) -> tuple[int, ...]:
    """Patches along each axis."""
    return tuple(side // length for side, length in zip(sides, patch, strict=True))
