"""The largest singular value of a linear map that has no closed form: Lanczos' iteration on A'A, a batch at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor

FEWEST_STEPS, MOST_STEPS, STRIDE = 8, 100, 4
TOLERANCE = 1e-3
"""Of the squared norm, the residual of its eigenvector: the norm is then far nearer than 1e-3 of itself."""
MOST_KEPT = 1 << 16
Norms = Callable[..., Tensor]
"""Of parameters (N, ...) each the norms (N,)."""


def spectral_norm(
    forward: Callable[[Tensor], Tensor],
    adjoint: Callable[[Tensor], Tensor],
    shape: tuple[int, ...],
    device: torch.device | str = "cpu",
    at_most: Tensor | None = None,
) -> Tensor:
    """(N,) float64: ||A|| of every case. shape: (N, C, *S) of images. at_most: (N,) a bound, where one is known.

    The start is drawn from a fixed seed, and a case ends when it is found itself, so its answer is the same in any
    company. Ritz values of A'A rise to the square of the norm; a case ends where the residual of the greatest one is
    below TOLERANCE of it (Golub and Van Loan 2013, Matrix Computations, theorem 10.1.2), or after MOST_STEPS, when it
    is as near for nearly all starts whatever the spectrum (Kuczynski and Wozniakowski 1992, theorem 3.2), or as near
    to the bound.
    """
    now = _start(shape, device)
    before, off = torch.zeros_like(now), now.new_zeros(shape[0])
    found, ended = now.new_zeros(shape[0]), torch.zeros(shape[0], dtype=torch.bool, device=device)
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    for step in range(1, MOST_STEPS + 1):
        with torch.no_grad():
            image = adjoint(forward(now.reshape(shape))).flatten(1)
        along = (now * image).sum(1)
        rest = image - along[:, None] * now - off[:, None] * before
        off = rest.norm(dim=1)
        diagonal.append(along)
        beside.append(off)
        if step >= FEWEST_STEPS and step % STRIDE == 0:
            largest, residual = _greatest(diagonal, beside)
            found = torch.where(ended, found, largest)
            ended = ended | (residual <= TOLERANCE * largest)
            if at_most is not None:
                ended = ended | (largest >= (1 - TOLERANCE) * at_most.square())
            if bool(ended.all()):
                break
        spent = off <= 1e-12 * torch.stack(diagonal).amax(0)
        off = torch.where(spent, 0.0, off)
        before, now = now, torch.where(spent[:, None], 0.0, rest / off.clamp(min=1e-300)[:, None])
    return found.clamp(min=0).sqrt()


class KeptNorms:
    """Norms of cases met before, by a digest of their parameters: the same come back in every epoch."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, float] = OrderedDict()

    def of(self, kind: Hashable, norms: Norms, *parameters: Tensor) -> Tensor:
        """(N,) float64. kind: all that a norm depends on beside parameters (N, ...). norms: of some cases."""
        keys = [(kind, _digest([one[case] for one in parameters])) for case in range(len(parameters[0]))]
        new = {key: case for case, key in enumerate(keys) if key not in self._kept}
        if new:
            cases = list(new.values())
            self._kept |= dict(zip(new, norms(*[one[cases].detach() for one in parameters]).tolist(), strict=True))
        found = [self._kept[key] for key in keys]
        while len(self._kept) > max(MOST_KEPT, len(keys)):
            self._kept.popitem(last=False)
        return torch.tensor(found, dtype=torch.float64, device=parameters[0].device)


_kept_norms = KeptNorms()


def kept_norms(kind: Hashable, norms: Norms, *parameters: Tensor) -> Tensor:
    """(N,) float64, by iteration for cases that were not met before. See `KeptNorms.of`; works under vmap."""
    found: Tensor = _Kept.apply(kind, norms, *parameters)  # type: ignore[no-untyped-call]
    return found


class _Kept(torch.autograd.Function):
    """So that vmap hands on numbers that can be looked at; norms have no gradient."""

    @staticmethod
    def forward(kind: Hashable, norms: Norms, *parameters: Tensor) -> Tensor:
        """(N,)."""
        return _kept_norms.of(kind, norms, *parameters)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Nothing is kept."""
        ctx.mark_non_differentiable(output)
        ctx.many = len(inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, ...]:
        """None."""
        many: int = ctx.many
        return (None,) * many

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Tensor, int]:
        """Of many batches at once: one batch of them all."""
        parts = [
            (one[None].expand(info.batch_size, *one.shape) if at is None else one.movedim(at, 0)).flatten(0, 1)
            for one, at in zip(inputs[2:], in_dims[2:], strict=True)
        ]
        return kept_norms(*inputs[:2], *parts).reshape(info.batch_size, -1), 0


def _digest(parameters: Sequence[Tensor]) -> bytes:
    digest = blake2b(digest_size=16)
    for one in parameters:
        digest.update(one.detach().double().cpu().contiguous().numpy().tobytes())
    return digest.digest()


def _start(shape: tuple[int, ...], device: torch.device | str) -> Tensor:
    """The same numbers in every case."""
    drawn = torch.randn(shape[1:], generator=torch.Generator().manual_seed(18), dtype=torch.float64).flatten()
    unit: Tensor = (drawn / drawn.norm()).to(device)
    return unit.expand(shape[0], -1)


def _greatest(diagonal: list[Tensor], beside: list[Tensor]) -> tuple[Tensor, Tensor]:
    """(N,) the greatest eigenvalue of the tridiagonal matrix, and the residual of its vector."""
    between = torch.stack(beside[:-1], 1)
    matrix = torch.diag_embed(torch.stack(diagonal, 1))
    matrix = matrix + torch.diag_embed(between, 1) + torch.diag_embed(between, -1)
    values, vectors = torch.linalg.eigh(matrix)
    residual: Tensor = beside[-1] * vectors[:, -1, -1].abs()
    return values[:, -1], residual
