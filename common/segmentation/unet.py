"""U-Net (Ronneberger et al. 2015) for 2D images, with group normalisation in place of none."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from common.layers import ConvolutionBlock


class UNet2D(nn.Module):
    """(N, channels_in, H, W) float32 -> (N, classes, H, W) logits; 2 ** (len(widths) - 1) divides H and W.

    widths: channels of each level, full resolution first. On the way down a level is halved by 2x2 max pooling;
    on the way up it is doubled by a transposed convolution and joined with what the way down had there.
    """

    def __init__(self, channels_in: int, classes: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.down = nn.ModuleList(_level(a, b) for a, b in pairwise((channels_in, *widths)))
        steps = list(pairwise(reversed(widths)))
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(deep, wide, 2, stride=2) for deep, wide in steps)
        self.up = nn.ModuleList(_level(2 * wide, wide) for _, wide in steps)
        self.head = nn.Conv2d(widths[0], classes, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits of every pixel."""
        features, kept = self.down[0](inputs), []
        for level in self.down[1:]:
            kept.append(features)
            features = level(max_pool2d(features, 2))
        for enlarge, level in zip(self.enlarge, self.up, strict=True):
            features = level(torch.cat([kept.pop(), enlarge(features)], dim=1))
        logits: Tensor = self.head(features)
        return logits


def _level(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(ConvolutionBlock(channels_in, channels_out), ConvolutionBlock(channels_out, channels_out))
