"""When to stop an optimisation that fits the image before the noise, where nobody knows the image.

Either the last iterates vary least just before noise is fitted (Wang et al. 2023, Early stopping for deep image
prior, algorithm 1), or data that were held out are explained worse from there on (Yaman et al. 2022, Zero-shot
self-supervised learning for MRI reconstruction, section 3).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import torch
from torch import Tensor

from common.reconstruction.imaging_operator import LinearMap


@dataclass
class Patience:
    """steps: how many may pass without a lower value before it stops."""

    steps: int
    best: float = float("inf")
    best_step: int = -1

    def sees(self, value: float, step: int) -> bool:
        """Whether this is the lowest value so far. One that is no number is none."""
        if value < self.best:
            self.best, self.best_step = value, step
            return True
        return False

    def is_over(self, step: int) -> bool:
        """Whether it stops at this step."""
        return self.best_step >= 0 and step - self.best_step >= self.steps


@dataclass
class Window:
    """The last `size` iterates: their mean, and how much they vary about it."""

    size: int
    _held: deque[Tensor] = field(default_factory=deque)
    _sum: Tensor | None = None
    _squares: deque[float] = field(default_factory=deque)

    def add(self, image: Tensor) -> None:
        """One more; the oldest falls out where there are more than `size`."""
        exact = image.detach().double()
        self._held.append(exact)
        self._squares.append(float(exact.square().sum()))
        self._sum = exact.clone() if self._sum is None else self._sum + exact
        if len(self._held) > self.size:
            self._sum = self._sum - self._held.popleft()
            self._squares.popleft()

    @property
    def full(self) -> bool:
        """Whether there are as many as it holds."""
        return len(self._held) == self.size

    def mean(self) -> Tensor:
        """Of the iterates, in float64."""
        assert self._sum is not None
        return self._sum / len(self._held)

    def variance(self) -> float:
        """Mean squared distance to the mean, as a share of the mean's square: the same for images of any unit.

        So an image that is still blank does not pass for one that is settled.
        """
        square = float(self.mean().square().sum())
        if not square > 0:
            return float("inf")
        return max(0.0, sum(self._squares) / len(self._held) - square) / square


def held_out(linear: LinearMap, measured: Tensor, share: float, draws: torch.Generator) -> Tensor:
    """(1, *M) bool: which data of one case are held out, a share of those that tell anything of an image.

    At least one is, and one is not, where there are two that tell anything.
    """
    drawn = torch.randn(1, *linear.image_shape, generator=draws).to(measured)
    places = (linear.forward(drawn) != 0).flatten().cpu().nonzero()[:, 0]
    count = max(0, min(max(1, round(share * len(places))), len(places) - 1))
    chosen = places[torch.randperm(len(places), generator=draws)[:count]]
    held = torch.zeros(measured.numel(), dtype=torch.bool)
    held[chosen] = True
    return held.reshape(measured.shape).to(measured.device)


def misfit(linear: LinearMap, images: Tensor, measured: Tensor, chosen: Tensor) -> Tensor:
    """Squared residual of the chosen data of one case, as a share of their square."""
    residual = (linear.forward(images) - measured) * chosen
    return residual.square().sum() / (measured * chosen).square().sum()
