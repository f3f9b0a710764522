"""Hidden patches painted by networks that have no tokens: the form of SimMIM (Xie et al. 2022)."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from common.learning.tasks._pretraining import Pretraining
from common.learning.tokens import chosen, patchify, unpatchify
from common.learning.transformer import linear
from common.selfsupervision.feature_maps import MappedEncoder, map_of


class PixelReconstruction(Pretraining):
    """`encoder`, shown images whose hidden patches are `blank`, and `decoder`: one linear layer for each place of the
    encoder's map, which answers the pixels that lie there (section 3.3).
    """

    blank: Blank

    def __init__(self, encoder: MappedEncoder, channels: int, patch: tuple[int, ...]) -> None:
        stride = encoder.stride
        values = channels * prod(stride)
        super().__init__(encoder.network, blank=Blank(channels), decoder=linear(encoder.width, values))
        self.patch, self.stride, self.source = patch, stride, encoder.source

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, F) features: the encoder's, or the mean of a map that is all it answers."""
        answer: Tensor = self.encoder(inputs)
        return answer.flatten(2).mean(2) if answer.ndim > 2 else answer

    def painted(self, inputs: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
        """(N, M, P) patches at the places `hidden` (N, M), of an image that shows those at `visible` alone."""
        sides = tuple(inputs.shape[2:])
        shown = torch.zeros(len(inputs), visible.shape[1] + hidden.shape[1], dtype=inputs.dtype, device=inputs.device)
        shown = shown.scatter(1, visible, 1.0)[:, :, None].expand(-1, -1, prod(self.patch))
        pixels = unpatchify(shown, self.patch, sides)
        answers = map_of(self.encoder, self.source, self.blank(inputs, pixels)).flatten(2).transpose(1, 2)
        image = unpatchify(self.get_submodule("decoder")(answers), self.stride, sides)
        return chosen(patchify(image, self.patch), hidden)


class Blank(nn.Module):
    """What stands where nothing is shown: a learned value of each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(channels))

    def forward(self, images: Tensor, shown: Tensor) -> Tensor:
        """shown: (N, 1, *S) of 1 and 0."""
        value = self.value.reshape(-1, *(1,) * (images.ndim - 2))
        return images * shown + value * (1 - shown)
