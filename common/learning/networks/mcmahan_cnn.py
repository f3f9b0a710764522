"""McMahan's CNN: two 5x5 convolutions and a hidden layer of 512 units, 1,663,370 parameters on MNIST; 5x5x5 in 3D."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from torch import nn

from common.data.cases import Shape
from common.learning.layers import convolution, max_pooling
from common.learning.networks._shapes import channels_of_grid
from common.learning.task import Network


@dataclass(frozen=True)
class McMahanCNN:
    """The convolutional network of McMahan et al. 2017, Communication-Efficient Learning, section 3. No options.

    5x5 convolutions of 32 and 64 channels, zero-padded to keep the size, each with ReLU and 2x2 max pooling;
    a hidden layer of 512 ReLU units; one output a class. For volumes, which the paper does not have, the same with
    a third dimension.
    """

    def build(self, shape: Shape) -> nn.Module:
        """(N, channels, [D,] H, W) float32 -> (N, classes) logits. Raises StudyError unless 4 divides every side."""
        channels, dimensions = channels_of_grid("mcmahan_cnn", shape, divisor=4)
        return nn.Sequential(
            convolution(dimensions, channels, 32, 5),
            nn.ReLU(),
            max_pooling(dimensions),
            convolution(dimensions, 32, 64, 5),
            nn.ReLU(),
            max_pooling(dimensions),
            nn.Flatten(),
            nn.Linear(64 * prod(side // 4 for side in shape.inputs[1:]), 512),
            nn.ReLU(),
            nn.Linear(512, shape.classes),
        )


network: type[Network] = McMahanCNN
