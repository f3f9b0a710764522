"""Iterative up- and down-sampling: units that enlarge, shrink again and mend what that missed (DBPN, Haris 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.learning.layers import CONVOLUTION, convolution
from common.reconstruction.design import Design, Enlargement, silence
from common.reconstruction.interpolation import resized
from common.study.checks import DEEPEST, WIDEST, sized

REACH = 4
"""A kernel of factor + 4 and a padding of 2: 6 for x2 and 8 for x4, as in the paper (section 4.1)."""
TRANSPOSED: dict[int, type[nn.Module]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


@dataclass(frozen=True)
class Iterative:
    """Deep back-projection (Haris et al. 2018): the loop of Irani and Peleg (1991) with learned kernels.

    channels: of features, on either grid. stages: how many times it is enlarged; all that were are looked at for the
    image, whose difference to the bicubic one is learned.

    It enlarges by the factors that it is made for; an image of another size is interpolated from that.
    """

    channels: int = 12
    stages: int = 2

    def __post_init__(self) -> None:
        sized("design 'iterative'", WIDEST, channels=self.channels)
        sized("design 'iterative'", DEEPEST, stages=self.stages)

    def build(self, wanted: Enlargement) -> nn.Module:
        """Units up and down in turn."""
        return BackProjecting(self.channels, self.stages, wanted)

    def takes(self, made_for: tuple[int, ...], factors: tuple[int, ...]) -> bool:
        """Its own."""
        return made_for == factors


class BackProjecting(nn.Module):
    """The bicubic image and what is made of all enlarged features (equations 1 to 8, figure 3)."""

    def __init__(self, channels: int, stages: int, wanted: Enlargement) -> None:
        super().__init__()
        self.channels, axes = wanted.channels, wanted.axes
        self.first = nn.Sequential(convolution(axes, wanted.shown, channels, 3), nn.PReLU(channels))
        self.up = nn.ModuleList(UpProjection(channels, wanted.factors) for _ in range(stages))
        self.down = nn.ModuleList(DownProjection(channels, wanted.factors) for _ in range(stages - 1))
        self.last = convolution(axes, channels * stages, wanted.channels, 3)
        silence(self.last)

    def forward(self, shown: Tensor, sides: tuple[int, ...]) -> Tensor:
        """(N, C, *sides)."""
        large = [self.up[0](self.first(shown))]
        for down, up in zip(self.down, list(self.up)[1:], strict=True):
            large.append(up(down(large[-1])))
        added: Tensor = self.last(torch.cat(large, 1))
        return resized(resized(shown[:, : self.channels], added.shape[2:]) + added, sides)


class UpProjection(nn.Module):
    """Enlarged, shrunk again, and what that lacks of the small one enlarged and added (equations 1 to 5)."""

    def __init__(self, channels: int, factors: tuple[int, ...]) -> None:
        super().__init__()
        self.up = projection(channels, factors, up=True)
        self.back = projection(channels, factors, up=False)
        self.mend = projection(channels, factors, up=True)

    def forward(self, small: Tensor) -> Tensor:
        """Features of the large grid."""
        large: Tensor = self.up(small)
        mended: Tensor = self.mend(self.back(large) - small)
        return large + mended


class DownProjection(nn.Module):
    """The same the other way round (equations 6 to 10)."""

    def __init__(self, channels: int, factors: tuple[int, ...]) -> None:
        super().__init__()
        self.down = projection(channels, factors, up=False)
        self.back = projection(channels, factors, up=True)
        self.mend = projection(channels, factors, up=False)

    def forward(self, large: Tensor) -> Tensor:
        """Features of the small grid."""
        small: Tensor = self.down(large)
        mended: Tensor = self.mend(self.back(small) - large)
        return small + mended


def projection(channels: int, factors: tuple[int, ...], *, up: bool) -> nn.Module:
    """A strided convolution, or a transposed one, with a PReLU."""
    layer = (TRANSPOSED if up else CONVOLUTION)[len(factors)]
    kernel = tuple(factor + REACH for factor in factors)
    return nn.Sequential(layer(channels, channels, kernel, stride=factors, padding=REACH // 2), nn.PReLU(channels))


design: type[Design] = Iterative
