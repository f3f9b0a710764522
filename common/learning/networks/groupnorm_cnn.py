"""Small CNN with group normalisation for images and volumes: three 3x3 (3x3x3) convolutions and a mean over all."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from common.data.cases import Shape
from common.learning.layers import ChannelsLast, ConvolutionBlock, max_pooling
from common.learning.networks._shapes import channels_of_grid
from common.learning.task import Network
from common.study.checks import WIDEST, sized


@dataclass(frozen=True)
class GroupNormCNN:
    """channels: width of the first convolution; the second has twice, the third four times as many. standardised:
    whether convolutions are by kernels of mean 0 and one spread (`common.learning.layers.StandardisedWeights`), so
    that features of pretraining without labels keep apart: BYOL needs no batch normalisation then (Richemond et al.
    2020, section 3.3).

    About 93,000 parameters for grey images, 278,000 for volumes.
    """

    channels: int = 32
    standardised: bool = False

    def __post_init__(self) -> None:
        sized("network", WIDEST, channels=self.channels)

    def build(self, shape: Shape) -> nn.Module:
        """(N, channels, [D,] H, W) float32 -> (N, classes) logits. Raises StudyError below 4 pixels a side."""
        first, standardised = self.channels, self.standardised
        channels_in, dimensions = channels_of_grid("groupnorm_cnn", shape, smallest=4)
        body = nn.Sequential(
            ConvolutionBlock(channels_in, first, dimensions, standardised=standardised),
            max_pooling(dimensions),
            ConvolutionBlock(first, 2 * first, dimensions, standardised=standardised),
            max_pooling(dimensions),
            ConvolutionBlock(2 * first, 4 * first, dimensions, standardised=standardised),
            nn.AdaptiveAvgPool2d(1) if dimensions == 2 else nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
            nn.Linear(4 * first, shape.classes),
        )
        return ChannelsLast(body, dimensions)


network: type[Network] = GroupNormCNN
