"""Where a dense deformation is pulled: a cost and its gradient by the warped image, worked out by hand.

Autograd gives the same (a test); by hand it costs half, and what depends on the fixed image alone is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from common.registration.filters import along_axes, window
from common.registration.local_correlation import FLAT

TINY = 1e-6


class Force(Protocol):
    """One level's cost and its derivatives by each voxel of the warped image, for images (*shape) in [0, 1]."""

    def weigh(self, weight: Tensor) -> None:
        """What counts from now on, (*shape)."""
        ...

    def derivatives(self, warped: Tensor) -> tuple[float, Tensor, Tensor]:
        """The cost, lower is better; N times its derivative (*shape); N times a curvature (*shape), at least 0."""
        ...


class Together:
    """Several channels, each of which counts as much. A warped image is theirs one after another: (C, *shape)."""

    def __init__(self, forces: Sequence[Force], sizes: Sequence[int]) -> None:
        """sizes: of each channel's part; 0 for (*shape) without an axis of its own."""
        self._forces, self._sizes = forces, sizes

    def weigh(self, weight: Tensor) -> None:
        """Of all."""
        for force in self._forces:
            force.weigh(weight)

    def derivatives(self, warped: Tensor) -> tuple[float, Tensor, Tensor]:
        """The mean cost, and the channels' derivatives one after another."""
        parts = torch.split(warped, [max(1, size) for size in self._sizes])
        costs, slopes, bends = [], [], []
        for force, part, size in zip(self._forces, parts, self._sizes, strict=True):
            cost, slope, bend = force.derivatives(part if size else part[0])
            costs.append(cost)
            slopes.append(slope if size else slope[None])
            bends.append(bend.expand_as(slope) if size else bend[None])
        return sum(costs) / len(costs), torch.cat(slopes), torch.cat(bends)


class SquaredDifference:
    """Mean squared difference. weight: (*shape)."""

    def __init__(self, fixed: Tensor, weight: Tensor) -> None:
        self._fixed, self._weight = fixed, weight

    def weigh(self, weight: Tensor) -> None:
        """From now on."""
        self._weight = weight

    def derivatives(self, warped: Tensor) -> tuple[float, Tensor, Tensor]:
        """2 w (m - f) and 2 w."""
        difference = (warped - self._fixed) * self._weight
        return float((difference**2).mean()), 2 * difference, 2 * self._weight


class LocalCorrelationForce:
    """-mean cov^2 / (var var) in windows, exact in all windows that hold a voxel, not in its own alone.

    With A = 2 cov / (vf vm) and B = A cov / vm, sums over windows: -d/dm = f [A] - m [B] - [A mf] + [B mm]; the
    curvature is [B], what remains of the second derivative when the windows' statistics stay as they are. What does
    not count is in no window's sums; a window that holds little of what counts, counts little.
    """

    def __init__(self, fixed: Tensor, weight: Tensor, radius: int) -> None:
        self._sums = [window(size, radius) for size in fixed.shape]
        self._fixed = fixed
        self._full = self._window(torch.ones_like(fixed)[None])[0]
        self.weigh(weight)

    def weigh(self, weight: Tensor) -> None:
        """From now on."""
        fixed = self._fixed
        self._counted = counted = weight / weight.max().clamp(min=TINY)
        held, mean, squared = self._window(torch.stack([counted, counted * fixed, counted * fixed**2]))
        self._share = 1 / held.clamp(min=TINY)
        self._mean = mean * self._share
        self._variance = (squared * self._share - self._mean**2).clamp(min=0) + FLAT
        self._weight = weight * held / self._full

    def _window(self, stack: Tensor) -> Tensor:
        return along_axes(stack, self._sums)

    def derivatives(self, warped: Tensor) -> tuple[float, Tensor, Tensor]:
        """As the class says; weights choose the windows that count."""
        counted = self._counted * warped
        sums = self._window(torch.stack([counted, counted * warped, counted * self._fixed]))
        mean, squared, product = sums * self._share
        variance = (squared - mean**2).clamp_(min=0) + FLAT
        covariance = product - mean * self._mean
        first = 2 * covariance / (self._variance * variance) * self._weight
        second = first * covariance / variance
        cost = -float((first * covariance).mean()) / 2
        parts = torch.stack([first, second, first * self._mean - second * mean]) * self._share
        one, two, three = self._window(parts)
        return cost, (three + warped * two - self._fixed * one) * self._counted, two * self._counted
