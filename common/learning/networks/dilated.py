"""Dilated convolutions at full resolution, for outlining structures in images and volumes of any size."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from common.data.cases import Shape
from common.errors import StudyError
from common.learning.layers import ChannelsLast, Normalisation
from common.learning.networks._shapes import channels_of_grid
from common.learning.task import Network
from common.segmentation.dilated import Dilated, dilated_receptive_field
from common.study.checks import WIDEST, sized


@dataclass(frozen=True)
class DilatedNetwork:
    """channels: of every 3x3 convolution. dilations: one convolution each; those of the context module of Yu and
    Koltun (2016) see 67 pixels. normalisation: within one case; there is no batch normalisation.
    """

    channels: int = 16
    dilations: tuple[int, ...] = (1, 1, 2, 4, 8, 16, 1)
    normalisation: Normalisation = "group"

    def __post_init__(self) -> None:
        sized("network 'dilated'", WIDEST, channels=self.channels)
        sized(
            "network 'dilated'",
            WIDEST,
            **{f"dilations[{layer}]": value for layer, value in enumerate(self.dilations)},
        )
        if not self.dilations:
            raise StudyError("network 'dilated'.dilations is empty; it needs at least one dilation.")

    @property
    def receptive_field(self) -> int:
        """Pixels along each axis that one output sees, normalisation left aside."""
        return dilated_receptive_field(self.dilations)

    def build(self, shape: Shape) -> nn.Module:
        """(N, channels, [D,] H, W) float32 -> (N, classes, [D,] H, W) logits. Raises StudyError for tables."""
        channels_in, dimensions = channels_of_grid("dilated", shape)
        body = Dilated(
            channels_in,
            shape.classes,
            self.channels,
            self.dilations,
            dimensions=dimensions,
            normalisation=self.normalisation,
        )
        return ChannelsLast(body, dimensions)


network: type[Network] = DilatedNetwork
