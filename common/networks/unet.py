"""2D U-Net with group normalisation, for outlining structures in images."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from common.cases import Shape
from common.checks import positive
from common.layers import ChannelsLast
from common.networks._shapes import channels_of_image
from common.segmentation.unet import UNet2D
from common.task import Network


@dataclass(frozen=True)
class UNet:
    """channels: width at full resolution, doubled at each level. depth: number of levels, one of them full size."""

    channels: int = 16
    depth: int = 4

    def __post_init__(self) -> None:
        positive("network", channels=self.channels, depth=self.depth)

    def build(self, shape: Shape) -> nn.Module:
        """(N, channels, H, W) float32 -> (N, classes, H, W) logits.

        Raises StudyError unless 2 ** (depth - 1) divides H and W.
        """
        channels_in = channels_of_image("unet", shape, divisor=2 ** (self.depth - 1))
        widths = tuple(self.channels * 2**level for level in range(self.depth))
        return ChannelsLast(UNet2D(channels_in, shape.classes, widths))


network: type[Network] = UNet
