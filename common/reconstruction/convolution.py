"""Convolution with a point spread, by what an image is beyond its boundary: periodic, mirrored, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor
from torch.nn.functional import pad

from common.reconstruction.point_spread import Transfer, convolved, transfer
from common.reconstruction.spectral_norm import kept_norms, spectral_norm

NOISE = 1e-2
"""Power of noise by that of an image, of which Wiener's filter is, per squared norm."""


@dataclass(frozen=True)
class PeriodicBlur:
    """Convolution on a circle. point_spread: (N, *K)."""

    image_shape: tuple[int, ...]
    point_spread: Tensor
    transfer: Transfer

    @property
    def measured_shape(self) -> tuple[int, ...]:
        """That of an image."""
        return self.image_shape

    def forward(self, images: Tensor) -> Tensor:
        """Blurred."""
        return convolved(images, self.transfer.like(images))

    def adjoint(self, measured: Tensor) -> Tensor:
        """Convolved with the point spread turned about."""
        return convolved(measured, self.transfer.like(measured).conj())

    def norm(self) -> Tensor:
        """(N,) the largest magnitude of the transfer function."""
        return self.transfer.like(self.point_spread.double()).abs().flatten(1).amax(1)

    def pseudo_inverse(self, measured: Tensor) -> Tensor:
        """By frequency; those that rounding alone lets through are left out, as of a matrix's pseudo-inverse."""
        spectrum = self.transfer.like(measured)
        size = spectrum.abs()
        least = size.flatten(1).amax(1) * torch.finfo(measured.dtype).eps * prod(self.image_shape[1:])
        kept = size > least.reshape(-1, *[1] * (size.dim() - 1))
        return convolved(measured, torch.where(kept, 1 / torch.where(kept, spectrum, 1), 0))

    def approximate_inverse(self, measured: Tensor) -> Tensor:
        """Wiener's filter for noise of a tenth: (A'A + NOISE ||A||^2)^-1 A' y."""
        return self.solve_shifted(self.adjoint(measured), NOISE * self.norm().square())

    def solve_shifted(self, images: Tensor, weight: Tensor) -> Tensor:
        """By frequency, divided by |h|^2 + weight."""
        power = self.transfer.like(images).abs().square()
        return convolved(images, 1 / (power + weight.to(images).reshape(-1, *[1] * (images.dim() - 1))))

    def power_spectrum(self) -> Tensor:
        """(N, *S): squared magnitudes of the transfer function."""
        axes = tuple(range(2, 1 + len(self.image_shape)))
        unit = torch.zeros(1, 1, *self.image_shape[1:], dtype=torch.float64, device=self.point_spread.device)
        unit[(0, 0, *[0] * len(axes))] = 1
        spread = self.forward(unit.expand(len(self.point_spread), *unit.shape[1:]))
        spectrum: Tensor = torch.fft.fftn(spread, dim=axes)[:, 0].abs().square()
        return spectrum

    def singular_values(self) -> Tensor:
        """Magnitudes of the transfer function, once for every channel."""
        whole = self.power_spectrum().sqrt()
        values: Tensor = whole.flatten(1).repeat(1, self.image_shape[0]).sort(dim=1, descending=True).values
        return values


@dataclass(frozen=True)
class MirroredBlur:
    """Convolution with an even point spread, which sees the mirrored image beyond the boundary: its own adjoint.

    On a circle of twice the sides an image and its mirror images are periodic, and even: so are their convolutions.
    blur: on that circle.
    """

    image_shape: tuple[int, ...]
    blur: PeriodicBlur

    @classmethod
    def of(cls, shape: tuple[int, ...], point_spread: Tensor) -> MirroredBlur:
        """The even part of the point spread (N, *K)."""
        even = point_spread
        for axis in range(1, point_spread.dim()):
            even = (even + even.flip(axis)) / 2
        doubled = tuple(2 * side for side in shape[1:])
        return cls(shape, PeriodicBlur((shape[0], *doubled), even, Transfer(even, doubled)))

    @property
    def measured_shape(self) -> tuple[int, ...]:
        """That of an image."""
        return self.image_shape

    def forward(self, images: Tensor) -> Tensor:
        """Blurred."""
        return self._quarter(self.blur.forward(self._mirrored(images)))

    def adjoint(self, measured: Tensor) -> Tensor:
        """The same."""
        return self.forward(measured)

    def norm(self) -> Tensor:
        """(N,) the largest singular value."""
        return self.singular_values()[:, 0]

    def approximate_inverse(self, measured: Tensor) -> Tensor:
        """See PeriodicBlur."""
        return self._quarter(self.blur.approximate_inverse(self._mirrored(measured)))

    def pseudo_inverse(self, measured: Tensor) -> Tensor:
        """See PeriodicBlur."""
        return self._quarter(self.blur.pseudo_inverse(self._mirrored(measured)))

    def solve_shifted(self, images: Tensor, weight: Tensor) -> Tensor:
        """See PeriodicBlur."""
        return self._quarter(self.blur.solve_shifted(self._mirrored(images), weight))

    def singular_values(self) -> Tensor:
        """Magnitudes of the transfer function at every half frequency from 0 on, once for every channel."""
        half = self._quarter(transfer(self.blur.point_spread.double(), self.blur.image_shape[1:]).abs())
        values: Tensor = half.flatten(1).repeat(1, self.image_shape[0]).sort(dim=1, descending=True).values
        return values

    def _mirrored(self, images: Tensor) -> Tensor:
        for axis in range(2, images.dim()):
            images = torch.cat([images, images.flip(axis)], dim=axis)
        return images

    def _quarter(self, doubled: Tensor) -> Tensor:
        for axis, side in enumerate(self.image_shape[1:], start=2):
            doubled = doubled.narrow(axis, 0, side)
        return doubled


@dataclass(frozen=True)
class BoundedBlur:
    """Convolution that sees zeros, or the mirrored image, beyond the boundary. point_spread: (N, *K)."""

    image_shape: tuple[int, ...]
    point_spread: Tensor
    transfer: Transfer
    reflected: bool

    @property
    def measured_shape(self) -> tuple[int, ...]:
        """That of an image."""
        return self.image_shape

    def forward(self, images: Tensor) -> Tensor:
        """Padded, convolved on the greater circle, and cropped."""
        padded = self._mirrored(images) if self.reflected else self._between_zeros(images)
        return self._cropped(convolved(padded, self.transfer.like(images)))

    def adjoint(self, measured: Tensor) -> Tensor:
        """The same backwards: what was mirrored is added where it came from."""
        image = convolved(self._between_zeros(measured), self.transfer.like(measured).conj())
        if not self.reflected:
            return self._cropped(image)
        for axis, _ in self._margins():
            shape = list(image.shape)
            shape[axis] = self.image_shape[axis - 1]
            image = image.new_zeros(shape).index_add(axis, self._sources(axis, image.device), image)
        return image

    def norm(self) -> Tensor:
        """(N,) by iteration."""
        return kept_norms((self.image_shape[1:], self.reflected), self._norms, self.point_spread)

    def _norms(self, some: Tensor) -> Tensor:
        shape = (1, *self.image_shape[1:])
        at_most = None if self.reflected else some.double().abs().flatten(1).sum(1)
        part = BoundedBlur(shape, some, Transfer(some, self.transfer.size), self.reflected)
        return spectral_norm(part.forward, part.adjoint, (len(some), *shape), some.device, at_most)

    def approximate_inverse(self, measured: Tensor) -> Tensor:
        """Wiener's filter on the greater circle, of data mirrored at the boundary."""
        spectrum = self.transfer.like(measured)
        power = spectrum.abs().square()
        most = power.flatten(1).amax(1).reshape(-1, *[1] * (power.dim() - 1))
        return self._cropped(convolved(self._mirrored(measured), spectrum.conj() / (power + NOISE * most)))

    def _mirrored(self, images: Tensor) -> Tensor:
        for axis, _ in self._margins():
            images = images.index_select(axis, self._sources(axis, images.device))
        return images

    def _between_zeros(self, images: Tensor) -> Tensor:
        for axis, margin in self._margins():
            images = torch.movedim(pad(torch.movedim(images, axis, -1), (margin, margin)), -1, axis)
        return images

    def _margins(self) -> list[tuple[int, int]]:
        """Each axis of space of (N, C, *S), and half its point spread."""
        return [(axis + 1, side // 2) for axis, side in enumerate(self.point_spread.shape) if axis > 0]

    def _sources(self, axis: int, device: torch.device) -> Tensor:
        """Which pixel is seen at each place of the padded axis: the outermost comes twice."""
        side, margin = self.image_shape[axis - 1], self.point_spread.shape[axis - 1] // 2
        places = torch.arange(-margin, side + margin, device=device) % (2 * side)
        return torch.minimum(places, 2 * side - 1 - places)

    def _cropped(self, padded: Tensor) -> Tensor:
        for axis, margin in self._margins():
            padded = padded.narrow(axis, margin, self.image_shape[axis - 1])
        return padded
