"""What one output of a network sees, measured on the network itself by impulses."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn


def probed_field(network: nn.Module, channels: int, sides: tuple[int, ...], axis: int = 0) -> int:
    """The most pixels along spatial `axis` that any output on the image's central line sees.

    One impulse after another stands on that line. A copy of the network answers them with all its weights made
    positive and its biases zero, in float64, so that no two ways through it cancel and no maximum hides one.
    The line must be longer than the field. Normalisation would spread an impulse everywhere: probe without it.
    """
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


def _widest(reached: torch.Tensor) -> int:
    """reached: (impulse, output). From the first to the last impulse that any one output noticed."""
    widths = [int(seen.max() - seen.min()) + 1 for seen in map(torch.nonzero, reached.T) if len(seen)]
    return max(widths, default=0)
