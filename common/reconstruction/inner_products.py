"""Sums over a case, in double precision, and one number a case beside its image."""

from __future__ import annotations

import torch
from torch import Tensor


def by_case(values: Tensor, like: Tensor) -> Tensor:
    """(N,) or (1,) in the precision and place of `like`, shaped to broadcast over its cases."""
    return values.to(like).reshape(-1, *[1] * (like.dim() - 1))


def inner(one: Tensor, other: Tensor) -> Tensor:
    """(N,) float64: the inner product of each case."""
    return (one * other).flatten(1).sum(1, dtype=torch.float64)


def squares(values: Tensor) -> Tensor:
    """(N,) float64: the sum of squares of each case."""
    return inner(values, values)
