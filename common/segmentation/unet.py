"""U-Net (Ronneberger et al. 2015; in 3D Cicek et al. 2016) for images and volumes."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, max_pool3d

from common.learning.layers import ChannelsLast, ConvolutionBlock, Normalisation, convolution
from common.segmentation.arithmetic import Layer, largest_receptive_field
from common.segmentation.upsampling import Upsampling, enlarging, layer_of, max_pooled

POOL = {2: max_pool2d, 3: max_pool3d}


class UNet(nn.Module):
    """(N, channels_in, [D,] H, W) float32 -> (N, classes, [D,] H, W) logits.

    2 ** (len(widths) - 1) divides every side.

    dimensions: 2 or 3. widths: channels of each level, full resolution first. On the way down a level is halved by
    max pooling; on the way up it is doubled as `upsampling` says and joined with what the way down had there.
    dilation: of the convolutions of the deepest level. deep_supervision: a head of its own for every level of the
    way up (Lee et al. 2015), see `logits_of_levels`.
    """

    def __init__(
        self,
        channels_in: int,
        classes: int,
        widths: tuple[int, ...],
        *,
        dimensions: int = 2,
        dilation: int = 1,
        upsampling: Upsampling = "transposed",
        normalisation: Normalisation = "group",
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        self.pool = POOL[dimensions]
        self.switched = upsampling == "max_unpooling"
        dilations = [1] * (len(widths) - 1) + [dilation]
        self.down = nn.ModuleList(
            _level(a, b, dimensions, by, normalisation)
            for (a, b), by in zip(pairwise((channels_in, *widths)), dilations, strict=True)
        )
        steps = list(pairwise(reversed(widths)))
        self.enlarge = nn.ModuleList(enlarging(upsampling, dimensions, deep, wide) for deep, wide in steps)
        self.up = nn.ModuleList(_level(2 * wide, wide, dimensions, 1, normalisation) for _, wide in steps)
        self.head = convolution(dimensions, widths[0], classes, 1)
        deeper = widths[1:-1] if deep_supervision else ()
        self.deep_heads = nn.ModuleList(convolution(dimensions, width, classes, 1) for width in deeper)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits of every pixel."""
        logits: Tensor = self.head(self.decoded(inputs)[0])
        return logits

    def logits_of_levels(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Logits at full resolution, then at a half, a quarter, ... as far as there are heads."""
        full, *deeper = self.decoded(inputs)
        heads = zip(self.deep_heads, deeper, strict=False)
        return (self.head(full), *(head(features) for head, features in heads))

    def decoded(self, inputs: Tensor) -> list[Tensor]:
        """Features of every level of the way up, full resolution first, the deepest last."""
        features, kept, switches = self.down[0](inputs), [], []
        for level in self.down[1:]:
            kept.append(features)
            if self.switched:
                features, places = max_pooled(features)
                switches.append(places)
            else:
                features = self.pool(features, 2)
            features = level(features)
        decoded = [features]
        for enlarge, level in zip(self.enlarge, self.up, strict=True):
            enlarged = enlarge(features, switches.pop()) if self.switched else enlarge(features)
            features = level(torch.cat([kept.pop(), enlarged], dim=1))
            decoded.append(features)
        return decoded[::-1]


class UNetEncoder(ChannelsLast):
    """A U-Net without its heads, whose parameters are called as in `ChannelsLast(UNet(...))`.

    (N, channels_in, [D,] H, W) float32 -> (N, F) features: the mean of the deepest level. The way up is there where
    the map at full resolution is learned too.
    """

    body: UNet

    def __init__(self, body: UNet, dimensions: int, *, with_map: bool) -> None:
        body.head, body.deep_heads = nn.Identity(), nn.ModuleList()
        if not with_map:
            body.enlarge, body.up = nn.ModuleList(), nn.ModuleList()
        super().__init__(body, dimensions)

    def forward(self, inputs: Tensor) -> Tensor:
        """Features."""
        deepest = self._laid_out(inputs)
        for depth, level in enumerate(self.body.down):
            deepest = level(self._halved(deepest) if depth else deepest)
        return deepest.flatten(2).mean(2)

    def feature_map(self, inputs: Tensor) -> Tensor:
        """(N, widths[0], [D,] H, W) what the last layer is shown."""
        return self.body.decoded(self._laid_out(inputs))[0]

    def _halved(self, features: Tensor) -> Tensor:
        halved: Tensor = self.body.pool(features, 2)
        return halved


def unet_receptive_field(depth: int, dilation: int = 1, upsampling: Upsampling = "transposed") -> int:
    """Pixels along each axis that one output of a U-Net of `depth` levels may see, normalisation left aside.

    That of the way through the deepest level: no shortcut sees more.
    """
    convolutions, halved = [Layer(3)] * 2, [Layer(2, stride=2)]
    down = [*convolutions, *halved] * (depth - 1)
    up = [layer_of(upsampling), *convolutions] * (depth - 1)
    return largest_receptive_field([*down, *[Layer(3, dilation=dilation)] * 2, *up])


def _level(
    channels_in: int, channels_out: int, dimensions: int, dilation: int, normalisation: Normalisation
) -> nn.Sequential:
    first = ConvolutionBlock(channels_in, channels_out, dimensions, dilation, normalisation)
    return nn.Sequential(first, ConvolutionBlock(channels_out, channels_out, dimensions, dilation, normalisation))
