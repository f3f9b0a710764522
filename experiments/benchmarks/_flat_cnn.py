"""A small CNN that knows where it looks: its last layer reads every place apart, and nothing is averaged over places.

Whether it, or one whose last layer sees means over the whole image, learned a small mark is measured beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from torch import nn

from common.data.cases import Shape
from common.learning.tasks.classification import Classification

CHANNELS = 8
"""Of the first convolution; the second has twice as many."""


@dataclass(frozen=True)
class ByFlatCNN(Classification):
    """Classification by the network below, whatever `network` says."""

    def build_network(self, shape: Shape) -> nn.Module:
        """Two 3x3 convolutions, each with ReLU and 2x2 max pooling, and a linear layer of all that is left."""
        return flat_cnn(shape)


def flat_cnn(shape: Shape) -> nn.Module:
    """Of the cases' shape."""
    return nn.Sequential(
        nn.Conv2d(shape.inputs[0], CHANNELS, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(CHANNELS, 2 * CHANNELS, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * CHANNELS * prod(side // 4 for side in shape.inputs[1:]), shape.classes),
    )
