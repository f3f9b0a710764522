"""Two pathways, one at full and one at reduced resolution, that see detail and surroundings at once.

After Kamnitsas et al. 2017 (DeepMedic). Theirs works through patches with convolutions that shrink them; here whole
images pass, filled with zeros at the border, so that every pixel is outlined in one go.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, avg_pool3d

from common.learning.layers import ConvolutionBlock, Normalisation, convolution
from common.segmentation.arithmetic import Layer, largest_receptive_field
from common.segmentation.upsampling import Upsampling, enlarging, layer_of

AVERAGE_POOL = {2: avg_pool2d, 3: avg_pool3d}


class TwoPathway(nn.Module):
    """(N, channels_in, [D,] H, W) float32 -> (N, classes, [D,] H, W) logits; `reduction` divides all sides.

    widths: channels of the 3x3 convolutions of each pathway, in order. hidden: channels of the two 1x1
    convolutions that join the pathways. reduction: factor by which the second pathway's image is averaged down
    (3 in the paper); its features are enlarged as `upsampling` says.
    """

    def __init__(
        self,
        channels_in: int,
        classes: int,
        widths: tuple[int, ...],
        *,
        hidden: int,
        reduction: int,
        dimensions: int = 2,
        upsampling: Upsampling = "nearest",
        normalisation: Normalisation = "group",
    ) -> None:
        super().__init__()
        self.pool, self.reduction = AVERAGE_POOL[dimensions], reduction
        self.detail = _pathway(channels_in, widths, dimensions, normalisation)
        self.surroundings = _pathway(channels_in, widths, dimensions, normalisation)
        self.enlarge = enlarging(upsampling, dimensions, widths[-1], widths[-1], reduction)
        self.join = nn.Sequential(
            convolution(dimensions, 2 * widths[-1], hidden, 1),
            nn.ReLU(inplace=True),
            convolution(dimensions, hidden, hidden, 1),
            nn.ReLU(inplace=True),
            convolution(dimensions, hidden, classes, 1),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits of every pixel."""
        surroundings = self.enlarge(self.surroundings(self.pool(inputs, self.reduction)))
        logits: Tensor = self.join(torch.cat([self.detail(inputs), surroundings], dim=1))
        return logits


def pathway_receptive_fields(
    convolutions: int, reduction: int, upsampling: Upsampling = "nearest"
) -> tuple[int, int]:
    """Pixels along each axis that one output sees through the pathway of detail and through that of surroundings."""
    detail = [Layer(3)] * convolutions
    surroundings = [Layer(reduction, stride=reduction), *detail, layer_of(upsampling, reduction)]
    return largest_receptive_field(detail), largest_receptive_field(surroundings)


def _pathway(channels_in: int, widths: Sequence[int], dimensions: int, normalisation: Normalisation) -> nn.Sequential:
    steps = pairwise((channels_in, *widths))
    return nn.Sequential(*(ConvolutionBlock(a, b, dimensions, 1, normalisation) for a, b in steps))
