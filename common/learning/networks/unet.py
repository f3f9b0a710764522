"""U-Net with group normalisation, for outlining structures in images and volumes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from common.data.cases import Shape
from common.errors import StudyError
from common.learning.layers import ChannelsLast, Normalisation
from common.learning.networks._shapes import channels_of_grid
from common.learning.task import Network
from common.segmentation.unet import UNet as Body
from common.segmentation.unet import UNetEncoder, unet_receptive_field
from common.segmentation.upsampling import Upsampling
from common.selfsupervision.encoder import Encoder
from common.study.checks import DEEPEST, WIDEST, sized


@dataclass(frozen=True)
class UNet:
    """channels: width at full resolution, doubled at each level. depth: number of levels, one of them full size.

    widths: of every level, full resolution first, in place of `channels` and `depth`. dilation: of the
    convolutions of the deepest level. upsampling: how the way up enlarges. normalisation: within one case; there is
    no batch normalisation. deep_supervision: the levels between the first and the deepest learn to outline too
    (Lee et al. 2015); it takes at least three levels.
    """

    channels: int = 16
    depth: int = 4
    widths: tuple[int, ...] = ()
    dilation: int = 1
    upsampling: Upsampling = "transposed"
    normalisation: Normalisation = "group"
    deep_supervision: bool = False

    def __post_init__(self) -> None:
        sized("network 'unet'", WIDEST, channels=self.channels, dilation=self.dilation)
        sized("network 'unet'", DEEPEST, depth=self.depth)
        sized("network 'unet'", WIDEST, **{f"widths[{level}]": width for level, width in enumerate(self.widths)})
        if self.widths and self.depth not in (type(self).depth, len(self.widths)):
            raise StudyError(
                f"network 'unet'.widths lists {len(self.widths)} levels, and network 'unet'.depth is {self.depth}."
            )
        if self.deep_supervision and len(self._widths()) < 3:
            raise StudyError(
                f"network 'unet'.deep_supervision needs at least 3 levels; there are {len(self._widths())}."
            )

    @property
    def receptive_field(self) -> int:
        """Pixels along each axis that one output sees, normalisation left aside."""
        return unet_receptive_field(len(self._widths()), self.dilation, self.upsampling)

    def build(self, shape: Shape) -> nn.Module:
        """(N, channels, [D,] H, W) float32 -> (N, classes, [D,] H, W) logits.

        Raises StudyError unless 2 ** (levels - 1) divides every side.
        """
        return ChannelsLast(*self._body(shape))

    def build_encoder(self, shape: Shape) -> Encoder:
        """The way down alone: the mean of the deepest level."""
        body, dimensions = self._body(shape)
        return Encoder(UNetEncoder(body, dimensions, with_map=False), self._widths()[-1])

    def build_map_encoder(self, shape: Shape) -> nn.Module:
        """All but the last layer: features as of `build_encoder`, and the map at full resolution."""
        return UNetEncoder(*self._body(shape), with_map=True)

    def _body(self, shape: Shape) -> tuple[Body, int]:
        """The network, and the number of axes of its images."""
        widths = self._widths()
        channels_in, dimensions = channels_of_grid("unet", shape, divisor=2 ** (len(widths) - 1))
        body = Body(
            channels_in,
            shape.classes,
            widths,
            dimensions=dimensions,
            dilation=self.dilation,
            upsampling=self.upsampling,
            normalisation=self.normalisation,
            deep_supervision=self.deep_supervision,
        )
        return body, dimensions

    def _widths(self) -> tuple[int, ...]:
        return self.widths or tuple(self.channels * 2**level for level in range(self.depth))


network: type[Network] = UNet
