"""(A'A + w D'D)^-1 where both are diagonal: in Fourier's plane for periodic edges, in cosines' for reflected ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from common.reconstruction.differences import scales
from common.reconstruction.inner_products import by_case


@runtime_checkable
class Stationary(Protocol):
    """A linear map for which A'A is a convolution with periodic edges."""

    def power_spectrum(self) -> Tensor:
        """(N or 1, *S): eigenvalues of A'A, zero or more, the frequency zero first (as `torch.fft.fftn` has it).

        They are those of complex images where an image has a real and an imaginary channel.
        """
        ...


class PeriodicEquations:
    """(A'A + w D'D) x = r with D periodic, for any number of w and r.

    power: eigenvalues of A'A. like: images in the precision and place of all that follow.
    """

    def __init__(self, power: Tensor, like: Tensor, spacing: Sequence[float] = ()) -> None:
        sizes = tuple(like.shape[2:])
        roughness = _roughness([2 * math.pi / n for n in sizes], sizes, spacing)
        self._sizes, self._axes = sizes, tuple(range(-len(sizes), 0))
        self._complex = like.shape[1] == 2
        kept = slice(None) if self._complex else slice(0, sizes[-1] // 2 + 1)
        self._roughness = roughness[..., kept].to(like)
        self._power = power[..., kept].to(like)[:, None]

    def solve(self, right: Tensor, weight: Tensor) -> Tensor:
        """x; what neither A nor D sees becomes zero. weight: (N,), w."""
        divisor = self._power + by_case(weight, right) * self._roughness
        factors = torch.where(divisor > 0, 1 / divisor, torch.zeros_like(divisor))
        if self._complex:
            both = torch.view_as_complex(right.movedim(1, -1).contiguous())
            spectrum = torch.fft.fftn(both, dim=self._axes).mul_(factors[:, 0])
            return torch.view_as_real(torch.fft.ifftn(spectrum, dim=self._axes)).movedim(-1, 1)
        spectrum = torch.fft.rfftn(right, dim=self._axes).mul_(factors)
        found: Tensor = torch.fft.irfftn(spectrum, s=self._sizes, dim=self._axes)
        return found


def cosine_solve(right: Tensor, weight: Tensor, spacing: Sequence[float] = ()) -> Tensor:
    """(I + w D'D)^-1 right, D reflected at the edges: by the orthonormal cosine transform along each axis."""
    sizes = right.shape[2:]
    roughness = _roughness([math.pi / n for n in sizes], sizes, spacing).to(right)
    return _cosines(_cosines(right, False) / (1 + by_case(weight, right) * roughness), True)


def _roughness(steps: Sequence[float], sizes: Sequence[int], spacing: Sequence[float]) -> Tensor:
    """(*S): eigenvalues of D'D, 2 - 2 cos along each axis, over its squared spacing."""
    total = torch.zeros(*sizes, dtype=torch.float64)
    for axis, (step, size, scale) in enumerate(zip(steps, sizes, scales(len(sizes), spacing), strict=True)):
        along = scale**2 * (2 - 2 * torch.cos(step * torch.arange(size, dtype=torch.float64)))
        total += along.reshape(-1, *[1] * (len(sizes) - axis - 1))
    return total


def _cosines(images: Tensor, inverse: bool) -> Tensor:
    for axis in range(2, images.dim()):
        matrix = _cosine_matrix(images.shape[axis]).to(images)
        images = torch.tensordot(matrix.T if inverse else matrix, images, dims=([1], [axis])).movedim(0, axis)
    return images


@cache
def _cosine_matrix(size: int) -> Tensor:
    """(size, size) float64, orthogonal: the cosine transform of the second kind."""
    places, waves = torch.arange(size, dtype=torch.float64), torch.arange(size, dtype=torch.float64)[:, None]
    matrix = torch.cos(math.pi / size * (places + 0.5) * waves) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix
