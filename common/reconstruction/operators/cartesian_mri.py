"""Cartesian MRI of one coil or several: some lines of k-space of a complex image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod, sqrt
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.reconstruction import coils, sampling
from common.reconstruction.fourier import fourier, inverse_fourier
from common.reconstruction.imaging_operator import LinearMap, Operator
from common.reconstruction.shapes import demand_complex, demand_parameters
from common.reconstruction.spectral_norm import kept_norms, spectral_norm
from common.study.checks import between

WHERE = "operator 'cartesian_mri'"


@dataclass(frozen=True)
class CartesianMri:
    """y = M F S x: of each coil the orthonormal Fourier transform with its zero frequency in the middle, where the
    mask is 1.

    acceleration: lines of k-space for each that is measured. centre_fraction: share of lines, about the middle, that
    are always measured. pattern: the others are drawn evenly (`random`), `equispaced` from a drawn one, or with
    `variable_density`, falling from the middle; or single points of a plane, `poisson_disc`. axis: that of the image
    along which lines follow one another, counted from 0 after the channels; points are of the plane of it and the
    next. coils: how many, simulated about the image, their sensitivities the parameters of a case, squares of sum 1;
    a single one sees all alike.
    """

    complex_images: ClassVar[bool] = True

    acceleration: float = 4.0
    centre_fraction: float = 0.08
    axis: int = 0
    pattern: Literal["random", "equispaced", "variable_density", "poisson_disc"] = "random"
    coils: int = 1

    def __post_init__(self) -> None:
        between(WHERE, 1.0, 1000.0, acceleration=self.acceleration)
        between(WHERE, 0.0, 1.0, centre_fraction=self.centre_fraction)
        between(WHERE, 0, 2, axis=self.axis)
        between(WHERE, 1, coils.MOST_COILS, coils=self.coils)

    def parameter_shapes(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        """mask: (*S) of 0 and 1. sensitivities: (2 coils, *S), of several."""
        demand_complex(WHERE, shape, self.axis, self.coils)
        several = {"sensitivities": (2 * self.coils, *shape[1:])} if self.coils > 1 else {}
        return {"mask": shape[1:], **several}

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Mapping[str, NDArray[np.float32]]:
        """A mask of whole lines, or of points; then the coils' ring."""
        named = self.parameter_shapes(shape)
        size = shape[1:]
        plane = self._points(rng, size) if self.pattern == "poisson_disc" else self._lines(rng, size)
        found = {"mask": np.broadcast_to(plane, size).astype(np.float32)}
        return {**found, "sensitivities": coils.drawn(rng, self.coils, size)} if len(named) > 1 else found

    def map(self, shape: tuple[int, ...], parameters: Mapping[str, Tensor]) -> LinearMap:
        """M F S, of each case by its own mask and sensitivities."""
        found = demand_parameters(WHERE, self.parameter_shapes(shape), parameters)
        if self.coils == 1:
            return MaskedFourier(shape, found["mask"])
        return CoilsFourier(shape, found["mask"], found["sensitivities"])

    def _lines(self, rng: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.bool_]:
        lines = size[self.axis]
        total = sampling.points_of((lines,), self.acceleration)
        middle = min(total, max(1, round(lines * self.centre_fraction)))
        chosen = sampling.LINES[self.pattern](rng, lines, total, middle)
        return np.expand_dims(chosen, [axis for axis in range(len(size)) if axis != self.axis])

    def _points(self, rng: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.bool_]:
        """The middle is a rectangle of the plane's proportions with `centre_fraction` of what is measured at most."""
        axes = sorted((self.axis, (self.axis + 1) % len(size)))
        plane = size[axes[0]], size[axes[1]]
        total = sampling.points_of(plane, self.acceleration)
        share = sqrt(min(self.centre_fraction / self.acceleration, total / prod(plane)))
        middle = max(1, int(plane[0] * share)), max(1, int(plane[1] * share))
        chosen = sampling.poisson_disc(rng, plane, total, middle)
        return np.expand_dims(chosen, [axis for axis in range(len(size)) if axis not in axes])


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

    def support(self) -> Tensor:
        """(N, *measured_shape) 1 where something is measured."""
        return self.mask[:, None].expand(-1, *self.measured_shape)

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

    def power_spectrum(self) -> Tensor:
        """The mask, its middle moved to where a transform has the frequency zero."""
        spectrum: Tensor = torch.fft.ifftshift(self.mask, dim=tuple(range(1, self.mask.dim())))
        return spectrum

    def singular_values(self) -> Tensor:
        """Ones, two for each frequency measured, then zeros."""
        values = self.mask.flatten(1).double().repeat(1, 2)
        assert values.shape[1] == prod(self.image_shape)
        return values.sort(dim=1, descending=True).values

    def _mask(self, like: Tensor) -> Tensor:
        return self.mask.to(like)[:, None]


@dataclass(frozen=True)
class CoilsFourier:
    """M F S. mask: (N, *S) of 0 and 1. sensitivities: (N, 2K, *S)."""

    image_shape: tuple[int, ...]
    mask: Tensor
    sensitivities: Tensor

    @property
    def measured_shape(self) -> tuple[int, ...]:
        """(2K, *S): real and imaginary part of each coil's k-space."""
        return (self.sensitivities.shape[1], *self.image_shape[1:])

    def forward(self, images: Tensor) -> Tensor:
        """Each coil's k-space where it is measured."""
        spectra = fourier(coils.each(coils.seen(images, self.sensitivities)))
        return spectra.reshape(len(images), *self.measured_shape) * self.mask.to(images)[:, None]

    def adjoint(self, measured: Tensor) -> Tensor:
        """Images of what was measured, combined."""
        images = inverse_fourier(coils.each(measured * self.mask.to(measured)[:, None]))
        return coils.combined(images.reshape(len(measured), *self.measured_shape), self.sensitivities)

    def support(self) -> Tensor:
        """(N, *measured_shape) 1 where something is measured."""
        return self.mask[:, None].expand(-1, *self.measured_shape)

    def approximate_inverse(self, measured: Tensor) -> Tensor:
        """The adjoint: what was not measured is taken for zero."""
        return self.adjoint(measured)

    def norm(self) -> Tensor:
        """(N,) by iteration; at most 1 where squares of sensitivities sum to 1."""
        return kept_norms("coils", self._norms, self.mask, self.sensitivities)

    def _norms(self, mask: Tensor, sensitivities: Tensor) -> Tensor:
        part = CoilsFourier(self.image_shape, mask, sensitivities)
        shape = (len(mask), *self.image_shape)
        at_most = sensitivities.double().square().sum(1).flatten(1).amax(1).sqrt()
        return spectral_norm(part.forward, part.adjoint, shape, mask.device, at_most)


operator: type[Operator] = CartesianMri
