"""A network of dilated convolutions at full resolution (Yu and Koltun 2016, the context module)."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from common.learning.layers import ConvolutionBlock, Normalisation, convolution
from common.segmentation.arithmetic import Layer, receptive_field


class Dilated(nn.Sequential):
    """(N, channels_in, [D,] H, W) float32 -> (N, classes, [D,] H, W) logits of the same size, whatever it is.

    One 3x3 convolution of `width` channels for each of `dilations`, then a 1x1 convolution.
    """

    def __init__(
        self,
        channels_in: int,
        classes: int,
        width: int,
        dilations: tuple[int, ...],
        *,
        dimensions: int = 2,
        normalisation: Normalisation = "group",
    ) -> None:
        steps = pairwise((channels_in, *[width] * len(dilations)))
        super().__init__(
            *(
                ConvolutionBlock(a, b, dimensions, dilation, normalisation)
                for (a, b), dilation in zip(steps, dilations, strict=True)
            ),
            convolution(dimensions, width, classes, 1),
        )


def dilated_receptive_field(dilations: tuple[int, ...]) -> int:
    """Pixels along each axis that one output sees, normalisation left aside."""
    return receptive_field([Layer(3, dilation=dilation) for dilation in dilations])
