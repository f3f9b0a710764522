"""What the fully connected networks share: everything a case holds, as one vector, through layers of ReLU."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import nn

from common.data.cases import Shape


def fully_connected(shape: Shape, hidden: Sequence[int]) -> nn.Sequential:
    """(N, ...) float32 -> (N, classes) logits; a ReLU after each hidden layer."""
    layers: list[nn.Module] = [nn.Flatten()]
    widths = [prod(shape.inputs), *hidden]
    for narrow, wide in pairwise(widths):
        layers += [nn.Linear(narrow, wide), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], shape.classes))
