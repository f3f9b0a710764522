"""A network for patches read over a whole volume: windows that overlap, their logits averaged with Gaussian weights.

As in nnU-Net (Isensee et al. 2021): windows lie evenly, at most a share of their side apart, and a voxel counts the
more the nearer it is to a window's middle, where the network has seen most of what surrounds it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor, nn

from common.segmentation.patches import centred

SIGMA_SHARE = 1 / 8
"""Of a window's side, the deviation of the Gaussian."""
SMALLEST_WEIGHT = 1e-3
"""Of a window's corners, where its middle has 1."""


def windowed_logits(network: nn.Module, image: Tensor, patch: tuple[int, ...], overlap: float) -> Tensor:
    """Logits of one image or volume, by windows that a network can take.

    A volume smaller than the patch is filled with its channels' least values; where one window holds it all, its
    logits are the network's own. In memory are the logits of the volume and those of one window.

    Args:
        network: from (1, C, *patch) float32 to (1, classes, *patch).
        image: (C, *S) float32.
        patch: sides of a window, in voxels.
        overlap: the least share of a window's side that it has in common with the next, from 0 to less than 1.

    Returns:
        (classes, *S) float32.
    """
    whole, place = centred(image, patch)
    starts = list(window_starts(tuple(whole.shape[1:]), patch, overlap))
    if len(starts) == 1:
        alone: Tensor = network(whole[None])[0]
        return alone[(slice(None), *place)]
    weights = gaussian(patch).to(whole.device)
    total = torch.zeros(1, device=whole.device)
    seen = torch.zeros(whole.shape[1:], device=whole.device)
    for start in starts:
        window = tuple(slice(a, a + side) for a, side in zip(start, patch, strict=True))
        logits = network(whole[(slice(None), *window)][None])[0].float()
        if total.ndim == 1:
            total = torch.zeros(len(logits), *whole.shape[1:], device=whole.device)
        total[(slice(None), *window)] += logits * weights
        seen[window] += weights
    return (total / seen)[(slice(None), *place)]


def window_starts(shape: tuple[int, ...], patch: tuple[int, ...], overlap: float) -> Iterator[tuple[int, ...]]:
    """First voxels of windows that together cover `shape`, nowhere beyond it; no side is shorter than the patch."""
    return product(*(_starts(length, side, overlap) for length, side in zip(shape, patch, strict=True)))


def gaussian(patch: tuple[int, ...]) -> Tensor:
    """(*patch) float32 weights of a window's voxels: 1 in its middle, SMALLEST_WEIGHT at the least."""
    weights = torch.ones(())
    for side in patch:
        places = torch.arange(side) - (side - 1) / 2
        weights = weights[..., None] * torch.exp(-0.5 * (places / (side * SIGMA_SHARE)) ** 2)
    return (weights / weights.max()).clamp(min=SMALLEST_WEIGHT)


def _starts(length: int, side: int, overlap: float) -> list[int]:
    room = length - side
    steps = -int(-room // max(1, int(side * (1 - overlap))))
    return [round(room * step / steps) for step in range(steps + 1)] if steps else [0]
