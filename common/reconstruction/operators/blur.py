"""Deblurring: an image convolved with a point spread, of a Gaussian, of motion or of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.errors import StudyError
from common.reconstruction import own_point_spread, point_spread
from common.reconstruction.imaging_operator import LinearMap, Operator
from common.reconstruction.point_spread import Transfer, convolved
from common.reconstruction.shapes import demand_image, demand_parameters
from common.reconstruction.spectral_norm import kept_norms, spectral_norm
from common.study.checks import between

WHERE = "operator 'blur'"
LARGEST = 127


@dataclass(frozen=True)
class Blur:
    """y = h * x, an image of the same size.

    point_spread: `gaussian`, `motion` (a straight path in the plane of the last two axes) or `own`. sd_pixels: the
    Gaussian's standard deviation. length_pixels: of the motion. motion_degrees: its direction, 0 along the last axis;
    None if drawn for each case. weights: an own point spread, a list for each of its rows. weights_file: a .npy file
    of one, two- or three-dimensional. normalised: whether an own one is divided by its sum. point_spread_pixels: odd,
    sides of the point spread that travels with a case. boundary: what is seen of beyond an image: the other side
    (`periodic`, in which all closed forms exist), nothing (`zero`), or its mirror image (`reflect`, the outermost
    pixel twice).
    """

    complex_images: ClassVar[bool] = False

    point_spread: Literal["gaussian", "motion", "own"] = "gaussian"
    sd_pixels: float = 1.5
    length_pixels: float = 7.0
    motion_degrees: float | None = None
    weights: tuple[tuple[float, ...], ...] = ()
    weights_file: str = ""
    normalised: bool = True
    point_spread_pixels: int = 11
    boundary: Literal["periodic", "zero", "reflect"] = "periodic"

    def __post_init__(self) -> None:
        between(WHERE, 0.0, LARGEST, sd_pixels=self.sd_pixels, length_pixels=self.length_pixels)
        between(WHERE, -360.0, 360.0, motion_degrees=self.motion_degrees or 0.0)
        between(WHERE, 1, LARGEST, point_spread_pixels=self.point_spread_pixels)
        if self.point_spread_pixels % 2 == 0:
            raise StudyError(f"{WHERE}.point_spread_pixels must be odd; it is {self.point_spread_pixels}.")
        if self.point_spread == "motion" and self.length_pixels > self.point_spread_pixels - 1:
            raise StudyError(
                f"{WHERE}.length_pixels must be below point_spread_pixels, {self.point_spread_pixels}, by 1 or more; "
                f"it is {self.length_pixels}."
            )
        if (self.point_spread == "own") != bool(self.weights or self.weights_file):
            raise StudyError(
                f"{WHERE}: weights or weights_file, and point_spread = 'own', are named together or not at all."
            )
        if self.weights and self.weights_file:
            raise StudyError(f"{WHERE}: name weights or weights_file, not both.")

    def parameter_shapes(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        """point_spread: (K, K) or (K, K, K)."""
        demand_image(WHERE, shape)
        sides = (self.point_spread_pixels,) * (len(shape) - 1)
        if self.boundary == "reflect" and min(shape[1:]) < sides[0] // 2:
            raise StudyError(
                f"{WHERE}: half a point spread of {sides[0]} pixels is wider than an image of {shape[1:]}."
            )
        return {"point_spread": sides}

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Mapping[str, NDArray[np.float32]]:
        """The point spread; the motion's direction is drawn unless it is given."""
        sides = self.parameter_shapes(shape)["point_spread"]
        if self.point_spread == "motion":
            degrees = rng.uniform(0, 180) if self.motion_degrees is None else self.motion_degrees
            weights = point_spread.motion(sides, self.length_pixels, degrees)
        elif self.point_spread == "gaussian":
            weights = point_spread.gaussian(sides, self.sd_pixels)
        else:
            weights = own_point_spread.read(WHERE, self.weights, self.weights_file, sides, self.normalised)
        return {"point_spread": weights.astype(np.float32)}

    def map(self, shape: tuple[int, ...], parameters: Mapping[str, Tensor]) -> LinearMap:
        """Convolution, of each case with its own point spread."""
        weights = demand_parameters(WHERE, self.parameter_shapes(shape), parameters)["point_spread"]
        if self.boundary == "periodic":
            return PeriodicBlur(shape, weights, Transfer(weights, shape[1:]))
        size = tuple(side + weights.shape[-1] - 1 for side in shape[1:])
        return BoundedBlur(shape, weights, Transfer(weights, size), self.boundary == "reflect")


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
        whole = self.power_spectrum().sqrt().flatten(1)
        values: Tensor = whole.repeat(1, self.image_shape[0]).sort(dim=1, descending=True).values
        return values


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
        padded = images
        for axis, margin in self._margins():
            padded = torch.movedim(padded, axis, -1)
            padded = padded[..., self._sources(axis, padded.device)] if self.reflected else _widened(padded, margin)
            padded = torch.movedim(padded, -1, axis)
        return self._cropped(convolved(padded, self.transfer.like(images)))

    def adjoint(self, measured: Tensor) -> Tensor:
        """The same backwards: what was mirrored is added where it came from."""
        widened = measured
        for axis, margin in self._margins():
            widened = torch.movedim(_widened(torch.movedim(widened, axis, -1), margin), -1, axis)
        image = convolved(widened, self.transfer.like(measured).conj())
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


def _widened(image: Tensor, margin: int) -> Tensor:
    return torch.nn.functional.pad(image, (margin, margin))


operator: type[Operator] = Blur
