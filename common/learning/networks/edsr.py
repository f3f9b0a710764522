"""EDSR (Lim et al. 2017): residual blocks of two convolutions without normalisation, for images from images."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from common.data.cases import Shape
from common.learning.layers import ChannelsLast, convolution
from common.learning.networks._shapes import channels_of_grid
from common.learning.task import Network
from common.study.checks import DEEPEST, WIDEST, positive, sized


@dataclass(frozen=True)
class Edsr:
    """channels: width of all convolutions. blocks: how many, each of two 3x3 ones with a ReLU between. scaling: of
    what a block adds, below 1 where it is wide and deep (section 3.2). No side need be divisible by anything.

    There is no normalisation: it would take away the brightness of an image, which images from images keep.
    """

    channels: int = 32
    blocks: int = 4
    scaling: float = 1.0

    def __post_init__(self) -> None:
        sized("network 'edsr'", WIDEST, channels=self.channels)
        sized("network 'edsr'", DEEPEST, blocks=self.blocks)
        positive("network 'edsr'", scaling=self.scaling)

    def build(self, shape: Shape) -> nn.Module:
        """(N, channels, [D,] H, W) float32 -> (N, classes, [D,] H, W). Raises StudyError for tables."""
        given, axes = channels_of_grid("edsr", shape)
        return ChannelsLast(Body(given, shape.classes, axes, self), axes)


class Body(nn.Module):
    """Convolution, residual blocks with one around all of them, convolution (figure 3)."""

    def __init__(self, given: int, answered: int, axes: int, options: Edsr) -> None:
        super().__init__()
        width = options.channels
        self.first = convolution(axes, given, width, 3)
        self.blocks = nn.Sequential(*(Block(width, axes, options.scaling) for _ in range(options.blocks)))
        self.last = convolution(axes, width, answered, 3)

    def forward(self, images: Tensor) -> Tensor:
        """Of the size of the images."""
        features: Tensor = self.first(images)
        answer: Tensor = self.last(features + self.blocks(features))
        return answer


class Block(nn.Module):
    """Features and what two convolutions add to them."""

    def __init__(self, width: int, axes: int, scaling: float) -> None:
        super().__init__()
        self.body = nn.Sequential(convolution(axes, width, width, 3), nn.ReLU(), convolution(axes, width, width, 3))
        self.scaling = scaling

    def forward(self, features: Tensor) -> Tensor:
        """As many."""
        added: Tensor = self.body(features)
        return features + self.scaling * added


network: type[Network] = Edsr
