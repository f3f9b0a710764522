"""Post-upsampling: a network on the small grid, whose channels become pixels (ESPCN, Shi et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from torch import Tensor, nn

from common.reconstruction.design import Design, Enlargement, inner_network, shuffled
from common.reconstruction.interpolation import resized
from common.study.catalogue import NETWORKS
from common.study.options import Entry


@dataclass(frozen=True)
class PostUpsampling:
    """network: of images, on the small grid; its last layer and the shuffle of its channels are the sub-pixel
    convolution, and so a transposed one. What comes out is added to the bicubic image.

    It enlarges by the factors that it is made for; an image of another size is interpolated from that.
    """

    network: Entry = field(default_factory=lambda: Entry("edsr", {"channels": 32, "blocks": 4}))

    def __post_init__(self) -> None:
        NETWORKS.build(self.network)

    def build(self, wanted: Enlargement) -> nn.Module:
        """The network on the small grid."""
        answers = wanted.channels * prod(wanted.factors)
        return SubPixel(inner_network(self.network, wanted.shown, wanted.small, answers), wanted)

    def takes(self, made_for: tuple[int, ...], factors: tuple[int, ...]) -> bool:
        """Its own."""
        return made_for == factors


class SubPixel(nn.Module):
    """The bicubic image and the shuffled answers of `body`."""

    def __init__(self, body: nn.Module, wanted: Enlargement) -> None:
        super().__init__()
        self.body, self.channels, self.factors = body, wanted.channels, wanted.factors

    def forward(self, shown: Tensor, sides: tuple[int, ...]) -> Tensor:
        """(N, C, *sides)."""
        added = shuffled(self.body(shown), self.factors)
        return resized(resized(shown[:, : self.channels], added.shape[2:]) + added, sides)


design: type[Design] = PostUpsampling
