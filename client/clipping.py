"""Clipping of one unit's gradient, and what the ways of computing clipped sums share."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from common.data.cases import Batch
from common.learning.client_work import Training
from common.learning.device import autocast, home
from common.learning.layers import ChannelsLast
from common.learning.parameters import trainable
from common.learning.task import Task
from common.privacy.clipped import SHRINKING
from common.sums.update import Vector


class ClippedSum(Protocol):
    """A way of computing the sum over a batch's N cases of g_i * min(1, clip_norm / ||g_i||), at once.

    Returns (P,) float32 in the order of `common.learning.parameters.trainable`. Batch: of one case or more. The
    network is in training mode; its parameters stay as they are, and their `grad` is left None.
    """

    def __call__(self, loss: CaseLoss, batch: Batch, clip_norm: float) -> Vector:
        """The clipped sum. Raises NotImplementedError where this way cannot do this network."""
        ...


class CaseLoss(nn.Module):
    """A task's losses of a batch, one a case, with the network as a part, so that parameters can be exchanged."""

    def __init__(self, task: Task, network: nn.Module, precision: str = Training.precision) -> None:
        super().__init__()
        self.task = task
        self.network = network
        self.precision = precision

    def forward(self, batch: Batch) -> Tensor:
        """(N,) float32."""
        with autocast(home(self.network), self.precision):
            return self.task.loss(self.network, batch).float()

    def parameters_in_order(self) -> list[nn.Parameter]:
        """The trainable parameters, in the order of vectors."""
        return [parameter for _, parameter in trainable(self.network)]


def clipping_factors(norms: Tensor, clip_norm: float) -> Tensor:
    """(N,) min(1, clip_norm / norm), a hair less; 0 where a norm is not finite, for that gradient to be left out."""
    factors = (clip_norm * SHRINKING / norms).clamp(max=1.0)
    return torch.where(torch.isfinite(norms), factors, torch.zeros_like(factors))


class Gradients(Protocol):
    """One parameter's gradients of N cases."""

    def __len__(self) -> int:
        """N."""
        ...

    def norms(self) -> Tensor:
        """(N,) float32 L2 norms."""
        ...

    def weighted_sum(self, factors: Tensor, left_out: Tensor | None) -> Tensor:
        """Sum over cases of factor * gradient, as many values as the parameter.

        left_out: (N,) bool, the cases whose factor is 0, for their gradients may be infinite; None: there are none.
        """
        ...


@dataclass(frozen=True)
class Whole:
    """values: (N, ...) float32, the gradients themselves, in whatever order they lie in memory."""

    values: Tensor

    def __len__(self) -> int:
        """See Gradients."""
        return len(self.values)

    def norms(self) -> Tensor:
        """See Gradients."""
        norms: Tensor = torch.linalg.vector_norm(self._rows, dim=1)
        return norms

    def weighted_sum(self, factors: Tensor, left_out: Tensor | None) -> Tensor:
        """See Gradients."""
        total = factors @ _without(self._rows, left_out)
        if self.values.ndim == 2:
            return total
        lying = total.reshape([self.values.shape[axis] for axis in self._axes])
        return lying.permute([self._axes.index(axis) for axis in range(1, self.values.ndim)])

    @cached_property
    def _rows(self) -> Tensor:
        """(N, values of a gradient), those that lie beside each other in memory beside each other."""
        return self.values if self.values.ndim == 2 else self.values.permute(0, *self._axes).flatten(1)

    @cached_property
    def _axes(self) -> list[int]:
        """All but the first, outermost in memory first."""
        strides = self.values.stride()
        return sorted(range(1, self.values.ndim), key=lambda axis: -strides[axis])


@dataclass(frozen=True)
class Outer:
    """Gradients that are products of a column and a row, (N, A) and (N, B): A x B values that are never made."""

    columns: Tensor
    rows: Tensor

    def __len__(self) -> int:
        """See Gradients."""
        return len(self.columns)

    def norms(self) -> Tensor:
        """See Gradients."""
        norms: Tensor = torch.linalg.vector_norm(self.columns, dim=1) * torch.linalg.vector_norm(self.rows, dim=1)
        return norms

    def weighted_sum(self, factors: Tensor, left_out: Tensor | None) -> Tensor:
        """See Gradients."""
        return (_without(self.columns, left_out) * factors[:, None]).T @ _without(self.rows, left_out)


def clip_and_add(gradients: Sequence[Gradients], clip_norm: float) -> Vector:
    """(P,) float32: the clipped sum. gradients: of every parameter, in order.

    Those of biases and the like, of which there are many, are taken for one parameter's: each costs as much as
    those of a large one.
    """
    small = {at: one.values for at, one in enumerate(gradients) if isinstance(one, Whole) and one.values.ndim == 2}
    beside = [Whole(torch.cat(list(small.values()), 1))] if small else []
    others = [one for at, one in enumerate(gradients) if at not in small]
    norms = torch.stack([one.norms() for one in (*beside, *others)]).norm(dim=0)
    factors = clipping_factors(norms, clip_norm)
    none = factors == 0
    left_out = none if bool(none.any()) else None
    sums = iter([one.weighted_sum(factors, left_out) for one in others])
    sizes = [values.shape[1] for values in small.values()]
    cut = iter(torch.split(beside[0].weighted_sum(factors, left_out), sizes) if beside else ())
    return as_vector([next(cut if at in small else sums) for at in range(len(gradients))])


def _without(values: Tensor, left_out: Tensor | None) -> Tensor:
    """The values with zeros where a case is left out: nought times infinity is not nought."""
    return values if left_out is None else torch.where(left_out[:, None], 0.0, values)


def as_vector(parts: list[Tensor]) -> Vector:
    """(P,) float32: all parts, flattened."""
    return np.asarray(torch.cat([part.detach().reshape(-1) for part in parts]).cpu().numpy(), dtype=np.float32)


def case_of(batch: Batch, index: int) -> Batch:
    """The batch of one case."""
    return batch.take([index])


def plainly_laid_out(network: nn.Module) -> nn.Module:
    """A copy with channels outermost, as Opacus and vmap need it, and no activation that writes over its input."""
    copied = deepcopy(network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    for module in copied.modules():
        if isinstance(module, ChannelsLast):
            module.format = torch.contiguous_format
        if getattr(module, "inplace", False):
            module.inplace = False
    plain: nn.Module = copied
    return plain
