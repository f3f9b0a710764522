"""Pre-upsampling: interpolated first, and mended by a network at full size (SRCNN, Dong et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from common.reconstruction.design import Design, Enlargement, inner_network
from common.reconstruction.interpolation import resized
from common.study.catalogue import NETWORKS
from common.study.options import Entry


@dataclass(frozen=True)
class PreUpsampling:
    """network: of images, answers what is added to the interpolated image (Kim et al. 2016, section 3.1).

    It works at full size, so that a step costs factor^2 as much as one on the small grid (factor^3 of volumes), and
    it enlarges by any factor.
    """

    network: Entry = field(default_factory=lambda: Entry("edsr", {"channels": 16, "blocks": 2}))

    def __post_init__(self) -> None:
        NETWORKS.build(self.network)

    def build(self, wanted: Enlargement) -> nn.Module:
        """The network at full size."""
        body = inner_network(self.network, wanted.shown, wanted.large, wanted.channels)
        return Interpolated(body, wanted.channels)

    def takes(self, made_for: tuple[int, ...], factors: tuple[int, ...]) -> bool:
        """Any."""
        return True


class Interpolated(nn.Module):
    """The bicubic image and what `body` adds to it."""

    def __init__(self, body: nn.Module, channels: int) -> None:
        super().__init__()
        self.body, self.channels = body, channels

    def forward(self, shown: Tensor, sides: tuple[int, ...]) -> Tensor:
        """(N, C, *sides)."""
        large = resized(shown, sides)
        added: Tensor = self.body(large)
        return large[:, : self.channels] + added


design: type[Design] = PreUpsampling
