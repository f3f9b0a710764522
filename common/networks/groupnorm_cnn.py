"""Small CNN with group normalisation: three 3x3 convolutions and a mean over the image, about 93,000 parameters."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from common.cases import Shape
from common.checks import positive
from common.layers import ChannelsLast, ConvolutionBlock
from common.networks._shapes import channels_of_image
from common.task import Network


@dataclass(frozen=True)
class GroupNormCNN:
    """channels: width of the first convolution; the second has twice, the third four times as many."""

    channels: int = 32

    def __post_init__(self) -> None:
        positive("network", channels=self.channels)

    def build(self, shape: Shape) -> nn.Module:
        """(N, channels, H, W) float32 -> (N, classes) logits. Raises StudyError below 4 x 4 pixels."""
        first = self.channels
        body = nn.Sequential(
            ConvolutionBlock(channels_of_image("groupnorm_cnn", shape, smallest=4), first),
            nn.MaxPool2d(2),
            ConvolutionBlock(first, 2 * first),
            nn.MaxPool2d(2),
            ConvolutionBlock(2 * first, 4 * first),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4 * first, shape.classes),
        )
        return ChannelsLast(body)


network: type[Network] = GroupNormCNN
