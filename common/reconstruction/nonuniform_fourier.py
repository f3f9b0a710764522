"""The Fourier transform of a complex plane at places off the grid: by a finer grid and a Kaiser-Bessel kernel.

X(k) = (1 / sqrt(number of pixels)) sum over pixels n of x(n) exp(-2 pi i k.n / sides), with k in cycles a field of
view and pixels counted from the middle, side // 2; as `sigpy.nufft`. Beatty, Nishimura and Pauly (2005), Rapid
gridding reconstruction with a minimal oversampling ratio, equations 4 and 5. The adjoint is exactly that of the
approximation: the same numbers, transposed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, prod, sqrt

import torch
from torch import Tensor

OVERSAMPLING, WIDTH = 2, 8
"""Of the finer grid; of the kernel, in its places. Together exact to some 1e-7."""
SHAPE = pi * sqrt((WIDTH / OVERSAMPLING * (OVERSAMPLING - 0.5)) ** 2 - 0.8)
"""Beta of the kernel (equation 5)."""


@dataclass(frozen=True)
class NonuniformFourier:
    """Of N cases, each at its own K places.

    size: of the plane. places: (N, K, T) which grid places touch a sample; weights: (N, K, T) of the kernel there.
    """

    size: tuple[int, int]
    places: Tensor
    weights: Tensor

    @classmethod
    def at(cls, size: tuple[int, int], frequencies: Tensor) -> NonuniformFourier:
        """frequencies: (N, K, 2) along rows and columns, in cycles a field of view, float64."""
        rows, row_weights = _touched(frequencies[..., 0], size[0])
        columns, column_weights = _touched(frequencies[..., 1], size[1])
        places = rows[..., :, None] * (OVERSAMPLING * size[1]) + columns[..., None, :]
        weights = row_weights[..., :, None] * column_weights[..., None, :]
        return cls(size, places.flatten(-2), weights.flatten(-2))

    def forward(self, planes: Tensor) -> Tensor:
        """(N, M, *size) complex to (N, M, K)."""
        fine = torch.fft.fft2(_padded(planes * self._apodisation(planes), self._fine), norm=None).flatten(-2)
        places = self.places.flatten(1)[:, None].expand(-1, planes.shape[1], -1)
        touched = fine.gather(2, places).reshape(*planes.shape[:2], *self.places.shape[1:])
        samples: Tensor = (touched * self.weights.to(planes.real)[:, None]).sum(-1)
        return samples / sqrt(prod(self.size))

    def adjoint(self, samples: Tensor) -> Tensor:
        """(N, M, K) complex to (N, M, *size)."""
        spread = (samples[..., None] * self.weights.to(samples.real)[:, None]).flatten(2) / sqrt(prod(self.size))
        places = self.places.flatten(1)[:, None].expand(-1, samples.shape[1], -1)
        fine = spread.new_zeros(*samples.shape[:2], prod(self._fine)).scatter_add(2, places, spread)
        image = torch.fft.ifft2(fine.reshape(*samples.shape[:2], *self._fine), norm="forward")
        return _cropped(image, self.size) * self._apodisation(samples)

    @property
    def _fine(self) -> tuple[int, int]:
        return OVERSAMPLING * self.size[0], OVERSAMPLING * self.size[1]

    def _apodisation(self, like: Tensor) -> Tensor:
        """By what the kernel's own transform fades the image (equation 4)."""
        rows, columns = (_faded(side).to(like.device, like.real.dtype) for side in self.size)
        return rows[:, None] * columns


def _touched(frequency: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """(..., WIDTH) places of the finer grid, wrapped, and the kernel's weights there, by modified Bessel function."""
    fine = frequency * OVERSAMPLING
    first = torch.ceil(fine - WIDTH / 2)
    places = first[..., None] + torch.arange(WIDTH, device=frequency.device, dtype=frequency.dtype)
    distance = (places - fine[..., None]) / (WIDTH / 2)
    weights = torch.special.i0(SHAPE * (1 - distance.square()).clamp(min=0).sqrt()) / WIDTH
    return places.long() % (OVERSAMPLING * side), weights


def _faded(side: int) -> Tensor:
    """(side,) by which the image is multiplied beforehand."""
    pixels = torch.arange(side, dtype=torch.float64) - side // 2
    inside = (SHAPE**2 - (pi * WIDTH * pixels / (OVERSAMPLING * side)).square()).sqrt()
    return inside / torch.sinh(inside)


def _padded(planes: Tensor, fine: tuple[int, int]) -> Tensor:
    """The middle at place 0, on the finer grid."""
    for axis, side in enumerate(fine, start=-2):
        plane = planes.shape[axis]
        half = plane // 2
        gap = planes.new_zeros([side - plane if a == axis else n for a, n in enumerate(planes.shape, -planes.dim())])
        planes = torch.cat([planes.narrow(axis, half, plane - half), gap, planes.narrow(axis, 0, half)], dim=axis)
    return planes


def _cropped(fine: Tensor, size: tuple[int, int]) -> Tensor:
    """The adjoint of `_padded`."""
    for axis, side in enumerate(size, start=-2):
        half = side // 2
        last = fine.shape[axis] - half
        fine = torch.cat([fine.narrow(axis, last, half), fine.narrow(axis, 0, side - half)], dim=axis)
    return fine
