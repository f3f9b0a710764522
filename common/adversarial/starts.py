"""What chance decides for each case by itself, and which of several tries each case keeps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def shares(draws: Sequence[np.random.Generator], inputs: Tensor) -> Tensor:
    """(N, ...) in -1 to 1, alike in every value: how much of the size each value is moved by."""
    shape = tuple(inputs.shape[1:])
    drawn = [rng.uniform(-1, 1, shape).astype(np.float32) for rng in draws]
    return torch.from_numpy(np.array(drawn, np.float32).reshape(len(drawn), *shape)).to(inputs)


def chosen(which: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """(N, ...) the first of those cases for which it is true, else the second. which: (N,)."""
    return torch.where(which.reshape(-1, *(1,) * (first.ndim - 1)), first, second)
