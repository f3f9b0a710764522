"""Similarities from joint histograms: mutual information, its normalised form, and the correlation ratio.

An entropy of the moving image grows with what the transform brings in, truth or not, and pulls the optimum away by
a slope over a curvature. Taken at places of the fixed image the pull goes one way, at places of the moving image the
other, so mutual information is added up both ways and the pulls mostly cancel.

Intensities are expected in [0, 1]. Parzen windows are cubic B-splines, so the histogram is differentiable and
sums to 1 exactly (Thevenaz and Unser 2000; Mattes et al. 2003).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from common.registration.free_form import cubic_weights
from common.registration.histogram_kernels import KERNELS, MARGIN
from common.registration.similarity import TINY, weighted_mean, weighted_variance

POINTS_AT_ONCE = 1 << 13


@dataclass(frozen=True)
class MutualInformation:
    """-MI = H(I, J) - H(I) - H(J), in nats (Viola and Wells 1997; Maes et al. 1997)."""

    needs_lattice: ClassVar[bool] = False
    shared_scale: ClassVar[bool] = False
    both_ways: ClassVar[bool] = True

    bins: int = 32

    def cost(self, moving: Tensor, fixed: Tensor, weight: Tensor) -> Tensor:
        """At most 0."""
        return -information(joint_histogram(moving, fixed, weight, self.bins))


@dataclass(frozen=True)
class NormalisedMutualInformation:
    """-NMI = -(H(I) + H(J)) / H(I, J): less sensitive to the overlap (Studholme et al. 1999)."""

    needs_lattice: ClassVar[bool] = False
    shared_scale: ClassVar[bool] = False
    both_ways: ClassVar[bool] = True

    bins: int = 32

    def cost(self, moving: Tensor, fixed: Tensor, weight: Tensor) -> Tensor:
        """From -2 to -1."""
        joint = joint_histogram(moving, fixed, weight, self.bins)
        return -(entropy(joint.sum(0)) + entropy(joint.sum(1))) / entropy(joint).clamp(min=TINY)


@dataclass(frozen=True)
class CorrelationRatio:
    """-(1 - sum_j p_j var(I | J = j) / var I): right where I is any function of J (Roche et al. 1998)."""

    needs_lattice: ClassVar[bool] = False
    shared_scale: ClassVar[bool] = False
    both_ways: ClassVar[bool] = False

    bins: int = 32

    def cost(self, moving: Tensor, fixed: Tensor, weight: Tensor) -> Tensor:
        """From -1 to 0."""
        shares = parzen(fixed.reshape(-1), self.bins) * _normalised(weight)[:, None]
        given = shares.sum(0).clamp(min=TINY)
        values = moving.reshape(-1, 1)
        means = (shares * values).sum(0) / given
        between = (given * (means - weighted_mean(moving, weight)) ** 2).sum()
        return -between / weighted_variance(moving, weight).clamp(min=TINY)


def joint_histogram(moving: Tensor, fixed: Tensor, weight: Tensor, bins: int) -> Tensor:
    """(bins, bins) p(i, j), moving in rows; sums to 1. Differentiable, once, in `moving`."""
    parts = moving.reshape(-1), fixed.reshape(-1).detach(), _normalised(weight).detach()
    histogram: Tensor = (_JointHistogram if KERNELS is None else _CompiledHistogram).apply(*parts, bins)  # type: ignore[no-untyped-call]
    return histogram


class _JointHistogram(torch.autograd.Function):
    """The windows of a few thousand points at a time, which fit a processor's cache, and never all of them."""

    @staticmethod
    def forward(ctx: Any, moving: Tensor, fixed: Tensor, share: Tensor, bins: int) -> Tensor:
        """Sum of share times window times window."""
        ctx.save_for_backward(moving, fixed, share)
        ctx.bins = bins
        total = moving.new_zeros(bins, bins)
        for one, two, part in _split(moving, fixed, share):
            total.addmm_((parzen(one, bins) * part[:, None]).T, parzen(two, bins))
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, pull: Tensor) -> tuple[Tensor, None, None, None]:
        """By the windows' slopes."""
        slopes = []
        for one, two, part in _split(*ctx.saved_tensors):
            columns, fraction = _columns(one, ctx.bins)
            pulled = (parzen(two, ctx.bins) @ pull.T).gather(1, columns)
            inside = ((one >= 0) & (one <= 1)) * part * (ctx.bins - 2 * MARGIN)
            slopes.append((pulled * _cubic_slopes(fraction)).sum(1) * inside)
        return torch.cat(slopes), None, None, None


class _CompiledHistogram(torch.autograd.Function):
    """The same, point by point."""

    @staticmethod
    def forward(ctx: Any, moving: Tensor, fixed: Tensor, share: Tensor, bins: int) -> Tensor:
        """Sum of share times window times window."""
        assert KERNELS is not None
        ctx.save_for_backward(moving, fixed, share)
        one, two, part = (tensor.detach().contiguous().numpy() for tensor in (moving, fixed, share))
        return torch.from_numpy(KERNELS.added_up(one, two, part, bins)).to(moving.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, pull: Tensor) -> tuple[Tensor, None, None, None]:
        """By the windows' slopes."""
        assert KERNELS is not None
        one, two, part = (tensor.contiguous().numpy() for tensor in ctx.saved_tensors)
        slopes = KERNELS.slopes(one, two, part, np.ascontiguousarray(pull.numpy(), np.float64))
        return torch.from_numpy(slopes).to(pull.dtype), None, None, None


def _split(*tensors: Tensor) -> Iterable[tuple[Tensor, ...]]:
    return zip(*(torch.split(tensor, POINTS_AT_ONCE) for tensor in tensors), strict=True)


def parzen(values: Tensor, bins: int) -> Tensor:
    """(N, bins) cubic B-spline weights of values (N,) in [0, 1]; each row sums to 1. Others count as 0 or 1."""
    columns, fraction = _columns(values, bins)
    return torch.zeros(len(values), bins, dtype=values.dtype).scatter_(1, columns, cubic_weights(fraction))


def _columns(values: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """(N, 4) bins that a value's window reaches, and (N,) how far the value lies past the second of them."""
    places = MARGIN - 0.5 + values.clamp(0, 1) * (bins - 2 * MARGIN)
    below = places.detach().floor().clamp(1, bins - 3)
    return below.long()[:, None] + torch.arange(-1, 3), places - below


def _cubic_slopes(fraction: Tensor) -> Tensor:
    """(N, 4) derivatives of `cubic_weights` by the fraction."""
    f = fraction[:, None]
    return torch.cat([-((1 - f) ** 2), 3 * f**2 - 4 * f, 1 + 2 * f - 3 * f**2, f**2], dim=1) / 2


def information(joint: Tensor) -> Tensor:
    """() H(I) + H(J) - H(I, J) of shares (bins, bins)."""
    return entropy(joint.sum(0)) + entropy(joint.sum(1)) - entropy(joint)


def entropy(shares: Tensor) -> Tensor:
    """() H = -sum p log p, in nats; 0 log 0 is 0."""
    return -(shares * shares.clamp(min=TINY).log()).sum()


def _normalised(weight: Tensor) -> Tensor:
    flat = weight.reshape(-1)
    return flat / flat.sum().clamp(min=TINY)
