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
    """The largest extent of what any output sees along spatial `axis`, and the most pixels that any sees there.

    One impulse after another: a pixel of that axis, over the whole of the others, since a kernel smaller than its
    stride sees only some of their lines. A copy of the network answers with all its weights made positive and its
    biases zero, in float64, so that no two ways through it cancel and no maximum hides one. The axis must be longer
    than the field. Normalisation would spread an impulse everywhere: probe without it. Raises LayerSizeError for
    channels, sides and an axis that no image has.
    """
    for name, value in (("channels", channels), *((f"sides[{index}]", side) for index, side in enumerate(sides))):
        whole_number(name, value, 1, error=LayerSizeError)
    whole_number("axis", axis, 0, len(sides) - 1, LayerSizeError)
    network = _positive(network)
    length = sides[axis]
    alone = [length if index in (0, 2 + axis) else 1 for index in range(2 + len(sides))]
    impulses = torch.eye(length, dtype=torch.float64).reshape(alone).expand(length, channels, *sides)
    with torch.no_grad():
        answers = network(impulses.contiguous())
    others = [index for index in range(1, answers.ndim) if index != 2 + axis]
    return _widest((answers != 0).sum(others) > 0)


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
