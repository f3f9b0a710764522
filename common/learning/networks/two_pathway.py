"""Two-pathway multi-scale network after DeepMedic, for outlining structures in images and volumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from common.data.cases import Shape
from common.errors import StudyError
from common.learning.layers import ChannelsLast, Normalisation
from common.learning.networks._shapes import channels_of_grid
from common.learning.task import Network
from common.segmentation.two_pathway import TwoPathway, pathway_receptive_fields
from common.study.checks import WIDEST, between, sized


@dataclass(frozen=True)
class TwoPathwayNetwork:
    """widths: channels of the 3x3 convolutions of each pathway. hidden: of the two 1x1 convolutions that join them.

    reduction: factor by which the second pathway sees the image smaller. The paper (Kamnitsas et al. 2017) has
    widths 30, 30, 40, 40, 40, 40, 50, 50, hidden 150 and reduction 3, in 3D. upsampling: how the second pathway's
    features are enlarged. normalisation: within one case; there is no batch normalisation.
    """

    widths: tuple[int, ...] = (16, 16, 24, 24, 24, 24, 32, 32)
    hidden: int = 48
    reduction: int = 4
    upsampling: Literal["transposed", "nearest", "linear", "fixed_linear", "average_unpooling"] = "nearest"
    normalisation: Normalisation = "group"

    def __post_init__(self) -> None:
        sized("network 'two_pathway'", WIDEST, hidden=self.hidden)
        sized(
            "network 'two_pathway'", WIDEST, **{f"widths[{layer}]": width for layer, width in enumerate(self.widths)}
        )
        between("network 'two_pathway'", 2, 16, reduction=self.reduction)
        if not self.widths:
            raise StudyError("network 'two_pathway'.widths is empty; it needs at least one width.")

    @property
    def receptive_field(self) -> int:
        """Pixels along each axis that one output sees, normalisation left aside."""
        return max(pathway_receptive_fields(len(self.widths), self.reduction, self.upsampling))

    def build(self, shape: Shape) -> nn.Module:
        """(N, channels, [D,] H, W) float32 -> (N, classes, [D,] H, W) logits.

        Raises StudyError unless `reduction` divides every side.
        """
        channels_in, dimensions = channels_of_grid("two_pathway", shape, divisor=self.reduction)
        body = TwoPathway(
            channels_in,
            shape.classes,
            self.widths,
            hidden=self.hidden,
            reduction=self.reduction,
            dimensions=dimensions,
            upsampling=self.upsampling,
            normalisation=self.normalisation,
        )
        return ChannelsLast(body, dimensions)


network: type[Network] = TwoPathwayNetwork
