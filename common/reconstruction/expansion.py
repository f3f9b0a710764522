"""Whether plug-and-play with a denoiser must come to rest (Ryu et al. 2019, Plug-and-play methods provably converge).

It does where the denoiser's residual D - I expands no difference by more than eps (their assumption A), and eps is
small beside how well the data are conditioned, m |x|^2 <= |A x|^2 <= L |x|^2 (theorems 1 and 2). Where something is
not measured at all m is 0, and nothing is promised.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from common.reconstruction.inner_products import by_case, squares

SMALL = 0.1
"""Of the told noise, the length a pixel of the differences that are tried."""


def expansion(
    denoise: Callable[[Tensor, Tensor], Tensor], images: Tensor, noise: Tensor, *, rounds: int = 8, seed: int = 0
) -> Tensor:
    """The largest |(D - I)(x + d) - (D - I) x| / |d| found near images, by iterating on d.

    d becomes what the residual made of it: the power method, of a map that is linear nearby. So it is a lower bound
    of eps, near the largest where the denoiser is symmetric.

    Args:
        denoise: D, from images (N, ...) and their noise (N,) to images.
        images: (N, ...), float32 or float64.
        noise: (N,) standard deviations that are told.
        rounds: of the power method.
        seed: of the first d.

    Returns:
        (N,) float64.
    """
    draws = torch.Generator().manual_seed(seed)
    direction = torch.randn(images.shape, generator=draws, dtype=torch.float64).to(images)
    length = SMALL * noise.to(torch.float64) * images[0].numel() ** 0.5
    residual, largest = denoise(images, noise) - images, torch.zeros_like(length)
    for _ in range(rounds):
        size = squares(direction).sqrt()
        tried = direction * by_case(length / size.clamp_min(1e-300), direction)
        direction = denoise(images + tried, noise) - images - tried - residual
        largest = torch.maximum(largest, squares(direction).sqrt() / length)
    return largest


def rests_by_gradient(eps: float, least: float, greatest: float, step: float) -> bool:
    """Whether forward-backward splitting comes to rest (theorem 1): (1 + eps) max(|1 - step m|, |1 - step L|) < 1.

    With eps = 0 there is no denoiser, and m may be 0.

    Args:
        eps: how much the denoiser's residual expands differences.
        least: m, the smallest eigenvalue of A'A.
        greatest: L, the largest.
        step: of the gradient.

    Returns:
        True where it surely does.
    """
    if eps <= 0:
        return 0 < step < 2 / greatest
    return (1 + eps) * max(abs(1 - step * least), abs(1 - step * greatest)) < 1


def rests_by_admm(eps: float, least: float, step: float) -> bool:
    """Whether ADMM contracts (theorem 2, equation 5): eps / ((1 + eps - 2 eps^2) m) < step, for eps below 1."""
    return 0 <= eps < 1 and least > 0 and eps / ((1 + eps - 2 * eps**2) * least) < step
