"""Mechanisms of single variables that noise can be taken back from: numbers by flows, classes by Gumbel noise.

A number is x = f(u; parents) with f increasing in u and u standard normal (Pawlowski et al. 2020, section 3.1); a
class is argmax_k (l_k(parents) + g_k) with Gumbel noise g (Oberst and Sontag 2019, section 3.2).
"""

from __future__ import annotations

import math
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, one_hot

Flow = Literal["affine", "spline"]
HIDDEN, BINS = 16, 8
LARGEST_LOG_SCALE = 4.0
LOG_TWO_PI = math.log(2 * math.pi)


class Mechanism(Protocol):
    """A variable of N cases given its parents. What a cause is told as is `width` numbers wide."""

    width: int

    def told(self, values: Tensor) -> Tensor:
        """(N,) values in their own unit -> (N, width) as networks are told of them."""
        ...

    def losses(self, values: Tensor, parents: Tensor) -> Tensor:
        """(N,) negative log-likelihood in nats, of numbers in spreads."""
        ...

    def abduct(self, values: Tensor, parents: Tensor, uniform: Tensor | None = None) -> Tensor:
        """The noise that made the values: (N,), or (N, width) of classes.

        uniform: (N, width) numbers in (0, 1) by which the posterior is drawn where values leave it open; None: its
        middle.
        """
        ...

    def value(self, noise: Tensor, parents: Tensor) -> Tensor:
        """(N,) values that the noise makes with these parents, in their own unit."""
        ...


class Number(nn.Module):
    """x = center + spread (m + s h(u)), with m, s and the increasing spline h functions of the parents.

    flow: "affine" has no spline: x given its parents is normal. The spline is rational-quadratic on [-5, 5] (Durkan
    et al. 2019) and comes from zuko.
    """

    width = 1

    def __init__(self, center: float, spread: float, parents: int, flow: Flow) -> None:
        super().__init__()
        self.center, self.spread, self.flow = center, spread, flow
        given = 2 + (3 * BINS - 1 if flow == "spline" else 0)
        self.free = nn.Parameter(torch.zeros(given))
        self.of_parents = (
            nn.Sequential(nn.Linear(parents, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, given)) if parents else None
        )

    def told(self, values: Tensor) -> Tensor:
        """See Mechanism."""
        return ((values - self.center) / self.spread)[:, None]

    def losses(self, values: Tensor, parents: Tensor) -> Tensor:
        """See Mechanism."""
        offset, log_scale, shape = self._given(parents, len(values))
        stretched = (self.told(values)[:, 0] - offset) / log_scale.exp()
        noise, log_slope = self._bent(stretched, shape)
        return 0.5 * (noise.square() + LOG_TWO_PI) + log_scale - log_slope

    def abduct(self, values: Tensor, parents: Tensor, uniform: Tensor | None = None) -> Tensor:
        """See Mechanism; a value leaves nothing open."""
        offset, log_scale, shape = self._given(parents, len(values))
        return self._bent((self.told(values)[:, 0] - offset) / log_scale.exp(), shape)[0]

    def value(self, noise: Tensor, parents: Tensor) -> Tensor:
        """See Mechanism."""
        offset, log_scale, shape = self._given(parents, len(noise))
        stretched = noise if shape is None else _spline(shape).inv(noise)
        value: Tensor = self.center + self.spread * (offset + log_scale.exp() * stretched)
        return value

    def _given(self, parents: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor | None]:
        given = self.free.expand(count, -1)
        if self.of_parents is not None:
            given = given + self.of_parents(parents)
        log_scale = LARGEST_LOG_SCALE * torch.tanh(given[:, 1] / LARGEST_LOG_SCALE)
        return given[:, 0], log_scale, given[:, 2:] if self.flow == "spline" else None

    @staticmethod
    def _bent(values: Tensor, shape: Tensor | None) -> tuple[Tensor, Tensor]:
        """Noise, and the logarithm of its derivative by the value."""
        if shape is None:
            return values, torch.zeros_like(values)
        noise, log_slope = _spline(shape).call_and_ladj(values)
        return noise, log_slope


def _spline(shape: Tensor) -> Any:
    from zuko.transforms import MonotonicRQSTransform  # an extra: only studies of splines need it

    widths, heights, slopes = shape[:, :BINS], shape[:, BINS : 2 * BINS], shape[:, 2 * BINS :]
    return MonotonicRQSTransform(widths, heights, slopes)


class Classes(nn.Module):
    """One of `width` classes, numbered from 0."""

    def __init__(self, width: int, parents: int) -> None:
        super().__init__()
        self.width = width
        self.free = nn.Parameter(torch.zeros(width))
        self.of_parents = (
            nn.Sequential(nn.Linear(parents, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, width)) if parents else None
        )

    def told(self, values: Tensor) -> Tensor:
        """See Mechanism; a number that is no class is the nearest one."""
        index = values.round().long().clamp(0, self.width - 1)
        return one_hot(index, self.width).to(self.free.dtype)

    def losses(self, values: Tensor, parents: Tensor) -> Tensor:
        """See Mechanism."""
        return -(self._log_chances(parents, len(values)) * self.told(values)).sum(1)

    def abduct(self, values: Tensor, parents: Tensor, uniform: Tensor | None = None) -> Tensor:
        """See Mechanism: Gumbel noise under which the observed class is the largest (Maddison et al. 2014)."""
        log_chances, observed = self._log_chances(parents, len(values)), self.told(values)
        if uniform is None:
            uniform = torch.full_like(log_chances, 0.5)
        gumbel = -(-uniform.clamp(1e-9, 1 - 1e-9).log()).log()
        top = (gumbel * observed).sum(1, keepdim=True)
        below = -torch.logaddexp(-top, -(log_chances + gumbel))
        return torch.where(observed > 0, top, below) - log_chances

    def value(self, noise: Tensor, parents: Tensor) -> Tensor:
        """See Mechanism."""
        largest = (self._log_chances(parents, len(noise)) + noise).argmax(1)
        return largest.to(self.free.dtype)

    def _log_chances(self, parents: Tensor, count: int) -> Tensor:
        given = self.free.expand(count, -1)
        return log_softmax(given if self.of_parents is None else given + self.of_parents(parents), 1)
