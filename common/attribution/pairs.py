"""Many looks at each of many cases, such as one a window or a point of a path, in pieces of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from common.attribution.limit import demand_time

MOST_VALUES = 1 << 16
"""Of the inputs in one piece: what a network makes of so many stays in a processor's cache, which is quicker than
larger pieces. One look is always a piece."""


def looks(inputs: Tensor, count: int, most_values: int = MOST_VALUES) -> Iterator[tuple[Tensor, Tensor]]:
    """(cases, look) of every case's `count` looks, (M,) int64 each, those of one case one after the other.

    Raises OutOfTimeError (`common.attribution.limit`).
    """
    size = max(1, most_values // max(1, inputs[0].numel()))
    for start in range(0, len(inputs) * count, size):
        demand_time()
        pairs = torch.arange(start, min(start + size, len(inputs) * count), device=inputs.device)
        yield torch.div(pairs, count, rounding_mode="floor"), pairs % count
