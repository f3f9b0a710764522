"""Cartesian MRI of one coil: some lines of k-space of a complex image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.errors import StudyError
from common.reconstruction.imaging_operator import LinearMap, Operator
from common.study.checks import between


@dataclass(frozen=True)
class CartesianMri:
    """y = M F x: the orthonormal Fourier transform with its zero frequency in the middle, where the mask is 1.

    acceleration: lines of k-space for each that is measured. centre_fraction: share of lines, about the middle, that
    are always measured; the others are drawn evenly. axis: that of the image along which lines follow one another,
    counted from 0 after the channels.
    """

    complex_images: ClassVar[bool] = True

    acceleration: float = 4.0
    centre_fraction: float = 0.08
    axis: int = 0

    def __post_init__(self) -> None:
        between("operator 'cartesian_mri'", 1.0, 1000.0, acceleration=self.acceleration)
        between("operator 'cartesian_mri'", 0.0, 1.0, centre_fraction=self.centre_fraction)
        between("operator 'cartesian_mri'", 0, 2, axis=self.axis)

    def parameter_shapes(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        """mask: (*S) of 0 and 1."""
        if shape[0] != 2 or len(shape) not in (3, 4) or self.axis >= len(shape) - 1:
            raise StudyError(
                "operator 'cartesian_mri' measures complex images of two channels and two or three axes, and lines "
                f"along axis {self.axis}; an image has the shape {shape}."
            )
        return {"mask": shape[1:]}

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Mapping[str, NDArray[np.float32]]:
        """A mask of whole lines."""
        lines = shape[1 + self.axis]
        total = max(1, round(lines / self.acceleration))
        middle = min(total, max(1, round(lines * self.centre_fraction)))
        start = (lines - middle + 1) // 2
        chosen = np.zeros(lines, bool)
        chosen[start : start + middle] = True
        chosen[rng.choice(np.flatnonzero(~chosen), total - middle, replace=False)] = True
        along = np.expand_dims(chosen, [axis for axis in range(len(shape) - 1) if axis != self.axis])
        return {"mask": np.broadcast_to(along, shape[1:]).astype(np.float32)}

    def map(self, shape: tuple[int, ...], parameters: Mapping[str, Tensor]) -> LinearMap:
        """M F, of each case by its own mask."""
        return MaskedFourier(shape, parameters["mask"])


@dataclass(frozen=True)
class MaskedFourier:
    """M F. mask: (N, *S) of 0 and 1."""

    image_shape: tuple[int, ...]
    mask: Tensor

    @property
    def measured_shape(self) -> tuple[int, ...]:
        """That of an image: real and imaginary parts of k-space, zero where nothing was measured."""
        return self.image_shape

    def forward(self, images: Tensor) -> Tensor:
        """K-space where it is measured."""
        return fourier(images) * self._mask(images)

    def adjoint(self, measured: Tensor) -> Tensor:
        """The image of what was measured, zero elsewhere."""
        return inverse_fourier(measured * self._mask(measured))

    def norm(self) -> Tensor:
        """(N,) 1, or 0 where nothing is measured."""
        return self.mask.flatten(1).amax(1).double()

    def pseudo_inverse(self, measured: Tensor) -> Tensor:
        """The adjoint: rows of M F are orthonormal."""
        return self.adjoint(measured)

    def solve_shifted(self, images: Tensor, weight: Tensor) -> Tensor:
        """By frequency, divided by mask + weight."""
        shifted = self._mask(images) + weight.to(images).reshape(-1, *[1] * (images.dim() - 1))
        return inverse_fourier(fourier(images) / shifted)

    def singular_values(self) -> Tensor:
        """Ones, two for each frequency measured, then zeros."""
        values = self.mask.flatten(1).double().repeat(1, 2)
        assert values.shape[1] == prod(self.image_shape)
        return values.sort(dim=1, descending=True).values

    def _mask(self, like: Tensor) -> Tensor:
        return self.mask.to(like)[:, None]


def fourier(images: Tensor) -> Tensor:
    """(N, 2, *S): the orthonormal transform over all axes of space, the zero frequency in the middle."""
    axes = tuple(range(1, images.dim() - 1))
    image = torch.view_as_complex(images.movedim(1, -1).contiguous())
    spectrum = torch.fft.fftn(torch.fft.ifftshift(image, dim=axes), dim=axes, norm="ortho")
    return torch.view_as_real(torch.fft.fftshift(spectrum, dim=axes)).movedim(-1, 1)


def inverse_fourier(spectrum: Tensor) -> Tensor:
    """The inverse of `fourier`, and its adjoint."""
    axes = tuple(range(1, spectrum.dim() - 1))
    frequencies = torch.view_as_complex(spectrum.movedim(1, -1).contiguous())
    image = torch.fft.ifftn(torch.fft.ifftshift(frequencies, dim=axes), dim=axes, norm="ortho")
    return torch.view_as_real(torch.fft.fftshift(image, dim=axes)).movedim(-1, 1)


operator: type[Operator] = CartesianMri
