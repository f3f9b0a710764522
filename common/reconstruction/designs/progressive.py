"""Progressive upsampling: twice as large, and again, by one network for all levels (MS-LapSRN, Lai et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor, nn

from common.reconstruction.design import Design, Enlargement, inner_network, shuffled
from common.reconstruction.interpolation import resized
from common.study.catalogue import NETWORKS
from common.study.options import Entry


@dataclass(frozen=True)
class Progressive:
    """network: of images, doubles every side by a sub-pixel convolution, with the same weights at each level; of
    thick slices only the sides that are to be enlarged.

    So it enlarges by any power of two, whatever it was trained for, by as many levels; by another factor it goes
    beyond, and what it answers is interpolated.
    """

    network: Entry = field(default_factory=lambda: Entry("edsr", {"channels": 16, "blocks": 4}))

    def __post_init__(self) -> None:
        NETWORKS.build(self.network)

    def build(self, wanted: Enlargement) -> nn.Module:
        """One level, used again."""
        each = tuple(2 if factor > 1 else 1 for factor in wanted.factors)
        body = inner_network(self.network, wanted.shown, wanted.small, wanted.channels * prod(each))
        return Doubling(body, wanted.channels, each)

    def takes(self, made_for: tuple[int, ...], factors: tuple[int, ...]) -> bool:
        """Powers of two, of the same axes."""
        same = [(one > 1) == (other > 1) for one, other in zip(made_for, factors, strict=True)]
        return all(same) and all(one in (1, max(factors)) for one in factors) and max(factors).bit_count() == 1


class Doubling(nn.Module):
    """(N, C, *S) doubled until no side is too small. What is shown beside the image is doubled by interpolation."""

    def __init__(self, body: nn.Module, channels: int, factors: tuple[int, ...]) -> None:
        super().__init__()
        self.body, self.channels, self.factors = body, channels, factors

    def forward(self, shown: Tensor, sides: tuple[int, ...]) -> Tensor:
        """(N, C, *sides)."""
        doubled = [axis for axis, factor in enumerate(self.factors) if factor > 1]
        while any(shown.shape[2 + axis] < sides[axis] for axis in doubled):
            added = shuffled(self.body(shown), self.factors)
            larger = resized(shown, added.shape[2:])
            shown = torch.cat([larger[:, : self.channels] + added, larger[:, self.channels :]], 1)
        return resized(shown[:, : self.channels], sides)


design: type[Design] = Progressive
