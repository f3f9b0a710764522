"""What images look like before anything is known of them: mostly smooth, edges the same in all colours."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor
from torch.nn.functional import pad

ROUNDING = 1e-8
SMALL_DEVIATION = 1e-3
FEWEST_CHANNELS_OF_COLOUR, MOST_CHANNELS_OF_COLOUR = 2, 4


def total_variation(images: Tensor) -> Tensor:
    """(N,) mean over pixels of the length of the gradient, sqrt(sum_d |d_d x|^2) (Rudin, Osher and Fatemi 1992).

    images: (N, channels, [D,] H, W); a table (N, features) has none, so zeros.
    """
    axes = range(2, images.dim())
    if not axes:
        return images.new_zeros(len(images))
    squares = torch.stack([_difference(images, axis).square() for axis in axes]).sum(0)
    return (squares + ROUNDING).sqrt().flatten(1).mean(1)


def relative_total_variation(images: Tensor) -> Tensor:
    """(N,) total variation of the channels and their differences, divided by the image's standard deviation.

    Differences of channels: the double opponents of Aström and Schnörr 2016. The division is ours: a network with
    group normalisation hardly shows an image's contrast in its gradient, so plain total variation would flatten it;
    this one is the same for an image of any contrast.
    """
    channels = images.shape[1] if images.dim() > 2 else 0
    opponents = [images]
    if FEWEST_CHANNELS_OF_COLOUR <= channels <= MOST_CHANNELS_OF_COLOUR:
        opponents += [images[:, a : a + 1] - images[:, b : b + 1] for a, b in combinations(range(channels), 2)]
    return total_variation(torch.cat(opponents, 1)) / (images.flatten(1).std(1, correction=0) + SMALL_DEVIATION)


def beyond_deviations(images: Tensor, most: float) -> Tensor:
    """(N,) mean square of what lies beyond `most` standard deviations from the image's mean, in deviations.

    Without it an image may put all its contrast into one corner, which total variation by contrast rewards.
    """
    flat = images.flatten(1)
    standardised = (flat - flat.mean(1, keepdim=True)) / (flat.std(1, keepdim=True) + SMALL_DEVIATION)
    return (standardised.abs() - most).clamp(min=0).square().mean(1)


def _difference(images: Tensor, axis: int) -> Tensor:
    """Forward differences, zero at the far border."""
    length = images.shape[axis] - 1
    found = images.narrow(axis, 1, length) - images.narrow(axis, 0, length)
    after = [0, 0] * (images.dim() - 1 - axis)
    return pad(found, (*after, 0, 1))
