"""Proximal maps of powers: argmin_x (x - t)^2 / 2 + w x^p for t, x of at least zero, and 0 < p <= 2."""

from __future__ import annotations

import math

import torch
from torch import Tensor

HALVINGS = 60


def shrunk(sizes: Tensor, weight: Tensor, power: float) -> Tensor:
    """Sizes t lessened. weight: w, broadcasting over them. p = 1/2, 1 and 2 are in closed form, others by halving."""
    if power == 2:
        return sizes / (1 + 2 * weight)
    if power == 1:
        return (sizes - weight).clamp_min(0)
    if power == 0.5:
        return _half(sizes, weight)
    return _by_halving(sizes, weight.expand_as(sizes), power)


def threshold(weight: Tensor, power: float) -> Tensor:
    """Below it, a size becomes zero. For powers below one it leaps there (Marjanovic & Solo 2012, theorem 1)."""
    if power > 1:
        return torch.zeros_like(weight)
    if power == 1:
        return weight
    least = (2 * weight * (1 - power)) ** (1 / (2 - power))
    return least + weight * power * torch.where(weight > 0, least, torch.ones_like(least)) ** (power - 1)


def _half(sizes: Tensor, weight: Tensor) -> Tensor:
    """Half thresholding (Xu et al. 2012, equations 10 and 11), where (x - t)^2 + 2 w x^(1/2) is the least."""
    kept = sizes > threshold(weight, 0.5)
    safe = torch.where(kept, sizes, torch.ones_like(sizes))
    angle = torch.arccos((weight / 4 * (safe / 3) ** -1.5).clamp(-1, 1))
    found = safe * (2 / 3) * (1 + torch.cos(2 * math.pi / 3 - angle * (2 / 3)))
    return torch.where(kept, found, torch.zeros_like(sizes))


def _by_halving(sizes: Tensor, weight: Tensor, power: float) -> Tensor:
    """The root of x + w p x^(p - 1) = t that is a minimum."""
    kept = sizes > threshold(weight, power)
    low = torch.zeros_like(sizes) if power > 1 else (2 * weight * (1 - power)) ** (1 / (2 - power))
    high = sizes.clone()
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = middle + weight * power * middle.clamp_min(torch.finfo(sizes.dtype).tiny) ** (power - 1) < sizes
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return torch.where(kept, high, torch.zeros_like(sizes))
