"""Sums over a case, in double precision, and one number a case beside its image."""

from __future__ import annotations

import torch
from torch import Tensor

TINY = 1e-300
"""What a sum of squares is divided by where it is zero."""


def by_case(values: Tensor, like: Tensor) -> Tensor:
    """(N,) or (1,) in the precision and place of `like`, shaped to broadcast over its cases."""
    return values.to(like).reshape(-1, *[1] * (like.dim() - 1))


def inner(one: Tensor, other: Tensor) -> Tensor:
    """(N,) float64: the inner product of each case, without a copy of it."""
    found: Tensor = torch.linalg.vecdot(one.flatten(1), other.flatten(1))
    return found.double()


def squares(values: Tensor) -> Tensor:
    """(N,) float64: the sum of squares of each case."""
    return inner(values, values)
