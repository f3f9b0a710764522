"""How far two gradients are apart."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

TINY = 1e-30


def cosine_distance(ours: Sequence[Tensor], captured: Sequence[Tensor]) -> Tensor:
    """1 - <a, b> / (|a| |b|) over all parameters together (Geiping et al. 2020, equation 4): 0 to 2."""
    products = torch.stack([(a * b).sum() for a, b in zip(ours, captured, strict=True)]).sum()
    return 1 - products / (_squares(ours) * _squares(captured) + TINY).sqrt()


def squared_distance(ours: Sequence[Tensor], captured: Sequence[Tensor]) -> Tensor:
    """|a - b|^2 (Zhu et al. 2019, equation 4)."""
    return torch.stack([(a - b).square().sum() for a, b in zip(ours, captured, strict=True)]).sum()


def relative_squared_distance(ours: Sequence[Tensor], captured: Sequence[Tensor]) -> Tensor:
    """|a - b|^2 / |b|^2: 0 for the same gradient, 1 for none."""
    return squared_distance(ours, captured) / (_squares(captured) + TINY)


def _squares(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack([part.square().sum() for part in parts]).sum()
