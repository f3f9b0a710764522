"""FFDNet: convolutions at a fraction of the resolution, as many pixels as that takes away laid into channels."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from torch import Tensor, nn, no_grad

from common.data.cases import Shape
from common.learning.layers import ChannelsLast, convolution
from common.learning.networks._shapes import channels_of_grid
from common.learning.task import Network
from common.study.checks import DEEPEST, WIDEST, sized

FIRST_ANSWER = 0.1
"""Of the last layer's first parameters over torch's."""


@dataclass(frozen=True)
class FfdNet:
    """For images that are to be mended: denoised, or taken out of their aliases (Zhang et al. 2018, FFDNet).

    channels: of all layers but the last. depth: number of 3x3 (3x3x3) convolutions. fold: every block of fold x fold
    pixels is laid into channels at first and unfolded at last, which sees as far at a fraction of the work (the
    paper's 2); 1: none. Without any normalisation, since brightness must come through. The last layer begins near
    zero, so that what the answer is added to is hardly disturbed at first.
    """

    channels: int = 32
    depth: int = 3
    fold: int = 2

    def __post_init__(self) -> None:
        sized("network 'ffdnet'", WIDEST, channels=self.channels)
        sized("network 'ffdnet'", DEEPEST, depth=self.depth, fold=self.fold)

    def build(self, shape: Shape) -> nn.Module:
        """(N, channels, [D,] H, W) float32 -> (N, classes, [D,] H, W). Raises StudyError unless fold divides all
        sides.
        """
        channels_in, dimensions = channels_of_grid("ffdnet", shape, divisor=self.fold)
        held = self.fold**dimensions
        widths = [channels_in * held, *[self.channels] * (self.depth - 1), shape.classes * held]
        layers: list[nn.Module] = [Fold(self.fold)]
        for before, after in itertools.pairwise(widths):
            layers += [convolution(dimensions, before, after, 3), nn.ReLU(inplace=True)]
        with no_grad():
            for parameter in layers[-2].parameters():
                parameter.mul_(FIRST_ANSWER)
        return ChannelsLast(nn.Sequential(*layers[:-1], Unfold(self.fold)), dimensions)


class Fold(nn.Module):
    """(N, C, *S) -> (N, C * fold^D, *S / fold): blocks of pixels into channels."""

    def __init__(self, fold: int) -> None:
        super().__init__()
        self.fold = fold

    def forward(self, images: Tensor) -> Tensor:
        """Folded."""
        if self.fold == 1:
            return images
        cases, channels, *sides = images.shape
        blocks = images.reshape(cases, channels, *(part for side in sides for part in (side // self.fold, self.fold)))
        axes = range(2, 2 + 2 * len(sides))
        moved = blocks.permute(0, 1, *axes[1::2], *axes[::2])
        return moved.reshape(cases, channels * self.fold ** len(sides), *(side // self.fold for side in sides))


class Unfold(nn.Module):
    """The inverse of `Fold`."""

    def __init__(self, fold: int) -> None:
        super().__init__()
        self.fold = fold

    def forward(self, images: Tensor) -> Tensor:
        """Unfolded."""
        if self.fold == 1:
            return images
        cases, held, *sides = images.shape
        axes = len(sides)
        channels = held // self.fold**axes
        blocks = images.reshape(cases, channels, *(self.fold,) * axes, *sides)
        order = [place for axis in range(axes) for place in (2 + axes + axis, 2 + axis)]
        return blocks.permute(0, 1, *order).reshape(cases, channels, *(side * self.fold for side in sides))


network: type[Network] = FfdNet
