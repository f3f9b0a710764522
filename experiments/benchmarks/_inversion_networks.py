"""Networks whose gradients are inverted in benchmarks: none pools over the image, for images and volumes."""

from __future__ import annotations

from math import prod

from torch import nn

from common.data.cases import Shape
from common.learning.layers import CONVOLUTION

CNN_WIDTHS, LENET_WIDTH = (16, 32, 64), 12


def groupnorm_cnn(shape: Shape) -> nn.Sequential:
    """A CNN with group normalisation and ReLU that halves every side twice, by strides."""
    channels, *sides = shape.inputs
    layers: list[nn.Module] = []
    for wide, stride in zip(CNN_WIDTHS, (1, 2, 2), strict=True):
        layers.append(CONVOLUTION[len(sides)](channels, wide, 3, stride=stride, padding=1))
        layers += [nn.GroupNorm(4, wide), nn.ReLU()]
        channels = wide
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * _quartered(sides), shape.classes))


def lenet(shape: Shape) -> nn.Sequential:
    """The LeNet of Zhu et al. 2019, with sigmoids; its parameters are uniform in [-0.5, 0.5], as theirs."""
    channels, *sides = shape.inputs
    layers: list[nn.Module] = []
    for stride in (2, 2, 1):
        layers += [CONVOLUTION[len(sides)](channels, LENET_WIDTH, 5, stride=stride, padding=2), nn.Sigmoid()]
        channels = LENET_WIDTH
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * _quartered(sides), shape.classes))
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -0.5, 0.5)
    return network


def _quartered(sides: list[int]) -> int:
    return prod(-(-side // 4) for side in sides)
