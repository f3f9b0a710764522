"""The network of the deep image prior: down and up again, with narrow paths across (Ulyanov et al. 2018)."""

from __future__ import annotations

from math import log2

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from common.learning.layers import CONVOLUTION

ACROSS = 4
"""Channels of the paths across, as in their inpainting and denoising (supplement, table 1)."""
LEAK = 0.2
LINEAR = {2: "bilinear", 3: "trilinear"}


class Hourglass(nn.Module):
    """(1, width, *S) -> (1, channels, *S), S of any size: every level halves it, rounded up.

    width: channels within. levels: how often sides are halved, less often where they would fall below two pixels.
    """

    def __init__(self, channels: int, size: tuple[int, ...], width: int, levels: int) -> None:
        super().__init__()
        dimensions, deepest = len(size), max(0, int(log2(min(size))) - 1)
        inner: nn.Module = nn.Identity()
        for _ in range(min(levels, deepest)):
            inner = _Level(dimensions, width, inner)
        self.body = nn.Sequential(inner, _convolution(dimensions, width, channels, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        """An image."""
        image: Tensor = self.body(inputs)
        return image


class _Level(nn.Module):
    """Half the size and back, beside a narrow path across."""

    def __init__(self, dimensions: int, width: int, inner: nn.Module) -> None:
        super().__init__()
        self.across = nn.Sequential(*_block(dimensions, width, ACROSS, kernel=1))
        self.down = nn.Sequential(
            *_block(dimensions, width, width, stride=2), *_block(dimensions, width, width), inner
        )
        self.merge = nn.Sequential(
            _normalised(width + ACROSS),
            *_block(dimensions, width + ACROSS, width),
            *_block(dimensions, width, width, kernel=1),
        )
        self.mode = LINEAR[dimensions]

    def forward(self, inputs: Tensor) -> Tensor:
        """Of the size of the inputs."""
        across, low = self.across(inputs), self.down(inputs)
        high = interpolate(low, across.shape[2:], mode=self.mode, align_corners=False)
        merged: Tensor = self.merge(torch.cat([across, high], dim=1))
        return merged


def _block(dimensions: int, channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    return [
        _convolution(dimensions, channels_in, channels_out, kernel, stride),
        _normalised(channels_out),
        nn.LeakyReLU(LEAK, inplace=True),
    ]


def _convolution(dimensions: int, channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Module:
    layer = CONVOLUTION[dimensions]
    return layer(channels_in, channels_out, kernel, stride=stride, padding=kernel // 2)


def _normalised(channels: int) -> nn.Module:
    """Each channel by itself: what batch normalisation does of one image."""
    return nn.GroupNorm(channels, channels)
