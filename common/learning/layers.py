"""Layers that networks share, for images (2 dimensions) and volumes (3 dimensions)."""

from __future__ import annotations

from math import gcd
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

LARGEST_NUMBER_OF_GROUPS = 4
LEAST_VARIANCE = 1e-8
"""Added to a kernel's, so that one of equal numbers stays finite."""
CONVOLUTION: dict[int, type[nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
MEMORY_FORMAT = {2: torch.channels_last, 3: torch.channels_last_3d}
Normalisation = Literal["group", "instance", "none"]
"""Within one case only. There is no batch normalisation: it would mix patients, and its running statistics would
leave the hospital beside the update."""


def group_norm(channels: int) -> nn.GroupNorm:
    """Normalisation within one case (Wu and He 2018): at most four groups, as many as divide the channels."""
    return nn.GroupNorm(gcd(channels, LARGEST_NUMBER_OF_GROUPS), channels)


def convolution(
    dimensions: int, channels_in: int, channels_out: int, kernel: int, *, dilation: int = 1, bias: bool = True
) -> nn.Module:
    """Convolution of odd `kernel` that keeps the size: filled with zeros by half its reach on every side."""
    padding = dilation * (kernel - 1) // 2
    layer = CONVOLUTION[dimensions]
    return layer(channels_in, channels_out, kernel, padding=padding, dilation=dilation, bias=bias)


def max_pooling(dimensions: int) -> nn.Module:
    """Halves every side, the largest of 2x2 (2x2x2) neighbours; an odd side loses its last pixel."""
    return nn.MaxPool2d(2) if dimensions == 2 else nn.MaxPool3d(2)


class StandardisedWeights(nn.Module):
    """A convolution by its kernels less their mean and over their spread and the root of their size (Qiao et al.
    2019, equation 4; scaled as by Brock et al. 2021, equation 1).

    What comes from a ReLU has a mean, and a kernel that has one too adds the same to every place of every image.
    Group normalisation does not take that away, as it compares channels; what differs between images then dwindles.
    """

    def __init__(self, convolution: nn.Module) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, inputs: Tensor) -> Tensor:
        """As of the convolution."""
        kernels = cast(Tensor, self.convolution.weight)
        axes = tuple(range(1, kernels.ndim))
        variance, mean = torch.var_mean(kernels, axes, correction=0, keepdim=True)
        scaled = (kernels - mean) * (variance * kernels[0].numel() + LEAST_VARIANCE).rsqrt()
        convolved: Tensor = functional_call(self.convolution, {"weight": scaled}, inputs)
        return convolved


class ConvolutionBlock(nn.Sequential):
    """3x3 (3x3x3) convolution that keeps the size, normalisation within the case, ReLU.

    (N, channels_in, H, W) -> (N, channels_out, H, W), or the same with D before H. No bias where a normalisation
    would take it away again. standardised: the convolution is by `StandardisedWeights`.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        dimensions: int = 2,
        dilation: int = 1,
        normalisation: Normalisation = "group",
        standardised: bool = False,
    ) -> None:
        bias = normalisation == "none"
        made = convolution(dimensions, channels_in, channels_out, 3, dilation=dilation, bias=bias)
        layers = [StandardisedWeights(made) if standardised else made]
        if normalisation == "group":
            layers.append(group_norm(channels_out))
        elif normalisation == "instance":
            layers.append(nn.GroupNorm(channels_out, channels_out))
        super().__init__(*layers, nn.ReLU(inplace=True))


class ChannelsLast(nn.Module):
    """Runs a network of images or volumes with the channels innermost in memory: the same values, sooner.

    Measured in float32 on one CPU thread: images 1.2 to 1.5 times, volumes 1.2 to 1.8 times as fast; in bfloat16
    images gain nothing and lose nothing, volumes lose a fifth to a third.
    """

    def __init__(self, body: nn.Module, dimensions: int = 2) -> None:
        super().__init__()
        self.format = MEMORY_FORMAT[dimensions]
        self.body = body.to(memory_format=self.format)  # type: ignore[call-overload]

    def forward(self, inputs: Tensor) -> Tensor:
        """What `body` answers."""
        answer: Tensor = self.body(self._laid_out(inputs))
        return answer

    def logits_of_levels(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """What `body` answers at every level, full resolution first; where it has no levels, its one answer."""
        if not hasattr(self.body, "logits_of_levels"):
            return (self(inputs),)
        answers: tuple[Tensor, ...] = self.body.logits_of_levels(self._laid_out(inputs))
        return answers

    def _laid_out(self, inputs: Tensor) -> Tensor:
        """PyTorch 2.13 crashes where group normalisation, its channels innermost, learns and its input does not.

        That is so behind frozen layers; a gradient of the network's input makes the input of every layer learn.
        """
        laid = inputs.contiguous(memory_format=self.format)
        frozen = self.format != torch.contiguous_format and not all(p.requires_grad for p in self.body.parameters())
        needed = frozen and torch.is_grad_enabled() and not laid.requires_grad
        return laid.detach().requires_grad_() if needed else laid
