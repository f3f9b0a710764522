"""The largest singular value of a linear map that has no closed form: Lanczos' iteration on A'A, a batch at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

MOST_STEPS, FEWEST_STEPS = 200, 8
TOLERANCE = 2e-4
"""Of the squared norm, the residual of its eigenvector: the norm is then far nearer than 1e-3 of itself."""


def spectral_norm(
    forward: Callable[[Tensor], Tensor],
    adjoint: Callable[[Tensor], Tensor],
    shape: tuple[int, ...],
    device: torch.device | str = "cpu",
) -> Tensor:
    """(N,) float64: ||A|| of every case. shape: (N, C, *S) of images.

    The start is drawn from a fixed seed, so the answer is always the same. Ritz values of A'A rise to the square of
    the norm; the iteration ends where the residual of the greatest one is below TOLERANCE of it in every case (Golub
    and Van Loan 2013, Matrix Computations, theorem 10.1.2).
    """
    now = _start(shape, device)
    before, off = torch.zeros_like(now), torch.zeros(shape[0], dtype=torch.float64, device=device)
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
        largest, residual = _greatest(diagonal, beside)
        if step >= FEWEST_STEPS and bool((residual <= TOLERANCE * largest).all()):
            break
        ended = off <= 1e-13 * largest
        off = torch.where(ended, 0.0, off)
        before, now = now, torch.where(ended[:, None], 0.0, rest / off.clamp(min=1e-300)[:, None])
    norm: Tensor = largest.clamp(min=0).sqrt()
    return norm


def _start(shape: tuple[int, ...], device: torch.device | str) -> Tensor:
    """The same numbers in every case, so that one alone is answered as it is among others."""
    drawn = torch.randn(shape[1:], generator=torch.Generator().manual_seed(18), dtype=torch.float64).flatten()
    unit: Tensor = (drawn / drawn.norm()).to(device)
    return unit.expand(shape[0], -1)


def _greatest(diagonal: list[Tensor], beside: list[Tensor]) -> tuple[Tensor, Tensor]:
    """(N,) the greatest eigenvalue of the tridiagonal matrix, and the residual of its vector."""
    matrix = torch.diag_embed(torch.stack(diagonal, 1))
    if len(beside) > 1:
        between = torch.stack(beside[:-1], 1)
        matrix = matrix + torch.diag_embed(between, 1) + torch.diag_embed(between, -1)
    values, vectors = torch.linalg.eigh(matrix)
    residual: Tensor = beside[-1] * vectors[:, -1, -1].abs()
    return values[:, -1], residual
