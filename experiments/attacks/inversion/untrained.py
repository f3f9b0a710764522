"""An untrained decoder as a prior of images: what it makes of noise while its weights are fitted is natural first."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv3d, group_norm, interpolate, leaky_relu

SLOPE = 0.1
GROUPS = 4


@dataclass(frozen=True)
class Decoder:
    """code: (N, width, ...) fixed noise of a quarter of the sides. sides: (..) of the images, after every block.

    weights: one 3 x 3 (x 3) convolution for every block and a pointwise one for the channels of the image.
    """

    code: Tensor
    sides: tuple[tuple[int, ...], ...]
    weights: tuple[Tensor, ...]
    bias: Tensor

    @classmethod
    def of(cls, images: tuple[int, ...], width: int, generator: torch.Generator, device: torch.device) -> Decoder:
        """For images of the shape (N, channels, [D,] H, W); weights as He et al. 2015 draw them, on the CPU."""
        cases, channels, *full = images
        sides = tuple(tuple(-(-side // factor) for side in full) for factor in (4, 2, 1))
        shapes = [(width, width, *(3 for _ in full))] * len(sides) + [(channels, width, *(1 for _ in full))]
        code = torch.randn((cases, width, *sides[0]), generator=generator).to(device)
        weights = tuple(_drawn(shape, generator).to(device).requires_grad_(True) for shape in shapes)
        return cls(code, sides, weights, torch.zeros(channels, device=device, requires_grad=True))

    @property
    def unknowns(self) -> list[Tensor]:
        """What is fitted."""
        return [*self.weights, self.bias]

    def images(self) -> Tensor:
        """(N, channels, [D,] H, W), any real values."""
        convolve = conv2d if len(self.sides[0]) == 2 else conv3d
        smooth = "bilinear" if len(self.sides[0]) == 2 else "trilinear"
        *blocks, last = self.weights
        value = self.code
        for block, side in zip(blocks, self.sides, strict=True):
            if value.shape[2:] != side:
                value = interpolate(value, side, mode=smooth, align_corners=False)
            value = leaky_relu(group_norm(convolve(value, block, padding="same"), GROUPS), SLOPE)
        images: Tensor = convolve(value, last, self.bias)
        return images


def _drawn(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    deviation = (2 / prod(shape[1:])) ** 0.5
    weights: Tensor = deviation * torch.randn(shape, generator=generator)
    return weights
