"""What one output of a network sees, measured on the network itself by impulses."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

from common.errors import LayerSizeError
from common.segmentation.arithmetic import Field
from common.segmentation.doors import whole_number


def probed_field(network: nn.Module, channels: int, sides: tuple[int, ...], axis: int = 0) -> int:
    """The extent alone, of what `probed` finds: from the first pixel that an output sees to the last."""
    return probed(network, channels, sides, axis).extent


def probed(network: nn.Module, channels: int, sides: tuple[int, ...], axis: int = 0) -> Field:
    """The largest extent of what an output on the image's central line sees along `axis`, and the most pixels.

    One impulse after another stands on that line. A copy of the network answers them with all its weights made
    positive and its biases zero, in float64, so that no two ways through it cancel and no maximum hides one.
    The line must be longer than the field. Normalisation would spread an impulse everywhere: probe without it.
    Raises LayerSizeError for channels, sides and an axis that no image has.
    """
    for name, value in (("channels", channels), *((f"sides[{index}]", side) for index, side in enumerate(sides))):
        whole_number(name, value, 1, error=LayerSizeError)
    whole_number("axis", axis, 0, len(sides) - 1, LayerSizeError)
    network = _positive(network)
    length = sides[axis]
    impulses = torch.zeros(length, channels, *sides, dtype=torch.float64)
    central = _central_line(impulses, axis)
    central += torch.eye(length, dtype=torch.float64)[:, None]
    with torch.no_grad():
        answers = network(impulses)
    return _widest(_central_line(answers, axis).sum(1) != 0)


def _central_line(images: torch.Tensor, axis: int) -> torch.Tensor:
    """(N, C, length): a view of the line along `axis` through the centre."""
    for other in reversed(range(images.ndim - 2)):
        if other != axis:
            images = images.select(2 + other, images.shape[2 + other] // 2)
    return images


def _positive(network: nn.Module) -> nn.Module:
    network = deepcopy(network).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.abs() + 0.01 if parameter.ndim > 1 else torch.zeros_like(parameter))
    return network


def _widest(reached: torch.Tensor) -> Field:
    """reached: (impulse, output). Of the impulses that any one output noticed."""
    seen = [places for places in map(torch.nonzero, reached.T) if len(places)]
    extents = (int(places.max() - places.min()) + 1 for places in seen)
    return Field(max(extents, default=0), max(map(len, seen), default=0))
