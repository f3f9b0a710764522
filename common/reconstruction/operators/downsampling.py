"""Super-resolution: an image of fewer, larger pixels, by the mean of an area or a Gaussian before decimation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, prod
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.errors import StudyError
from common.reconstruction import point_spread
from common.reconstruction.imaging_operator import LinearMap, Operator
from common.reconstruction.point_spread import Transfer, convolved
from common.reconstruction.shapes import demand_image, demand_parameters
from common.study.checks import between, listed

WHERE = "operator 'downsampling'"
LARGEST = 64
NOISE = 1e-3
"""Of an approximate inverse, per squared norm."""
REACH = 3
"""Standard deviations of a Gaussian on either side."""


@dataclass(frozen=True)
class Downsampling:
    """y = S H x: convolved on a circle, then one pixel kept of each block, its centre that of the block.

    factor: by which sides become shorter; they must be multiples of it. kernel: `area`, the mean of each block, or
    `gaussian`. sd_pixels: the Gaussian's, in pixels of the image; None for factor / 2.355, whose width at half height
    is one large pixel. reach_pixels: how far the Gaussian goes beyond a block on either side, None for three standard
    deviations; where hospitals' differ, name one for all, so that their point spreads travel alike. axes: those of
    the image that become shorter, counted from 0 after the channels; all if none is named, one alone for thick
    slices.
    """

    complex_images: ClassVar[bool] = False

    factor: int = 2
    kernel: Literal["area", "gaussian"] = "area"
    sd_pixels: float | None = None
    reach_pixels: int | None = None
    axes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        between(WHERE, 1, LARGEST, factor=self.factor)
        listed(WHERE, least=0, most=3, axes=self.axes)
        between(WHERE, 0, 2, **{f"axes[{index}]": axis for index, axis in enumerate(self.axes)})
        for name, value, least in (("sd_pixels", self.sd_pixels, 0.1), ("reach_pixels", self.reach_pixels, 0)):
            if value is not None:
                between(WHERE, least, LARGEST, **{name: value})
                if self.kernel == "area":
                    raise StudyError(f"{WHERE}.{name} is of kernel = 'gaussian' alone.")

    def factors(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """By which each side of images of `shape` becomes shorter."""
        many = len(shape) - 1
        return tuple(self.factor if axis in (self.axes or range(many)) else 1 for axis in range(many))

    def parameter_shapes(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        """None of `area`; point_spread: the Gaussian's weights."""
        demand_image(WHERE, shape, axis=max(self.axes, default=0))
        for side, factor in zip(shape[1:], self.factors(shape), strict=True):
            if side % factor:
                raise StudyError(
                    f"{WHERE}: sides of an image must be multiples of factor, {factor}; the image is of {shape[1:]}. "
                    "Crop it first."
                )
        return {} if self.kernel == "area" else {"point_spread": self._sides(shape)}

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Mapping[str, NDArray[np.float32]]:
        """The point spread, where there is one."""
        shapes = self.parameter_shapes(shape)
        return {name: point_spread.gaussian(sides, self._sd()).astype(np.float32) for name, sides in shapes.items()}

    def map(self, shape: tuple[int, ...], parameters: Mapping[str, Tensor]) -> LinearMap:
        """S H, of each case by its own point spread."""
        found = demand_parameters(WHERE, self.parameter_shapes(shape), parameters)
        if self.kernel == "area":
            return AreaMean(shape, self.factors(shape))
        return Decimated(shape, self.factors(shape), Transfer(found["point_spread"], shape[1:]))

    def _sd(self) -> float:
        return self.factor / 2.355 if self.sd_pixels is None else self.sd_pixels

    def _sides(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Odd where the factor is, else even, so that both have one centre."""
        return tuple(factor + 2 * self._reach(factor) if factor > 1 else 1 for factor in self.factors(shape))

    def _reach(self, factor: int) -> int:
        if self.reach_pixels is not None:
            return self.reach_pixels
        return ceil(max(0.0, REACH * self._sd() - factor / 2))


@dataclass(frozen=True)
class AreaMean:
    """The mean of each block: A A' is a multiple of the identity."""

    image_shape: tuple[int, ...]
    factors: tuple[int, ...]

    @property
    def measured_shape(self) -> tuple[int, ...]:
        """Shorter sides."""
        return _shorter(self.image_shape, self.factors)

    def forward(self, images: Tensor) -> Tensor:
        """Means."""
        blocks = images
        for axis, factor in enumerate(self.factors, start=2):
            sides = blocks.shape
            blocks = blocks.reshape(*sides[:axis], sides[axis] // factor, factor, *sides[axis + 1 :]).mean(axis + 1)
        return blocks

    def adjoint(self, measured: Tensor) -> Tensor:
        """Each number over its block, divided by what a block has pixels."""
        return self.pseudo_inverse(measured) / prod(self.factors)

    def norm(self) -> Tensor:
        """1 by the root of a block's pixels."""
        return torch.full((1,), prod(self.factors) ** -0.5, dtype=torch.float64)

    def pseudo_inverse(self, measured: Tensor) -> Tensor:
        """Each number over its block."""
        image = measured
        for axis, factor in enumerate(self.factors, start=2):
            image = image.repeat_interleave(factor, dim=axis)
        return image

    def solve_shifted(self, images: Tensor, weight: Tensor) -> Tensor:
        """Means of blocks divided by 1/pixels + weight, what differs from them by weight."""
        shift = weight.to(images).reshape(-1, *[1] * (images.dim() - 1))
        means = self.pseudo_inverse(self.forward(images))
        return means / (1 / prod(self.factors) + shift) + (images - means) / shift

    def singular_values(self) -> Tensor:
        """All alike."""
        return self.norm().expand(1, prod(self.measured_shape))


@dataclass(frozen=True)
class Decimated:
    """S H. transfer: of point spreads of sides odd where the factor is, else even.

    Frequencies that fall together when pixels are left out make blocks in which A'A has rank one (Zhao et al. 2016,
    Fast single image super-resolution using a new analytical solution for l2-l2 problems, equations 12 to 17).
    """

    image_shape: tuple[int, ...]
    factors: tuple[int, ...]
    transfer: Transfer
    _powers: dict[tuple[torch.dtype, torch.device], Tensor] = field(default_factory=dict, repr=False, compare=False)

    @property
    def measured_shape(self) -> tuple[int, ...]:
        """Shorter sides."""
        return _shorter(self.image_shape, self.factors)

    def forward(self, images: Tensor) -> Tensor:
        """Convolved, and one pixel kept of each block."""
        return convolved(images, self.transfer.like(images))[self._kept()]

    def adjoint(self, measured: Tensor) -> Tensor:
        """Between zeros, convolved with the point spread turned about."""
        between_zeros = measured.new_zeros(len(measured), *self.image_shape)
        between_zeros[self._kept()] = measured
        return convolved(between_zeros, self.transfer.like(measured).conj())

    def norm(self) -> Tensor:
        """(N,) the root of the greatest sum of powers that fall together."""
        return self._power(self.transfer.point_spread.double()).flatten(1).amax(1).sqrt()

    def pseudo_inverse(self, measured: Tensor) -> Tensor:
        """A'(A A')^-1, which is diagonal by frequency; those that rounding alone lets through are left out."""
        power = self._power(measured)
        least = power.flatten(1).amax(1) * (torch.finfo(measured.dtype).eps * prod(self.image_shape[1:])) ** 2
        kept = power > least.reshape(-1, *[1] * (power.dim() - 1))
        return self.adjoint(_filtered(measured, torch.where(kept, 1 / torch.where(kept, power, 1), 0)))

    def approximate_inverse(self, measured: Tensor) -> Tensor:
        """(A'A + NOISE ||A||^2)^-1 A' y."""
        return self.solve_shifted(self.adjoint(measured), NOISE * self.norm().square())

    def solve_shifted(self, images: Tensor, weight: Tensor) -> Tensor:
        """(x - A'(A A' + weight)^-1 A x) / weight."""
        shift = weight.to(images).reshape(-1, *[1] * (images.dim() - 1))
        power = self._power(images)
        return (images - self.adjoint(_filtered(self.forward(images), 1 / (power + shift)))) / shift

    def singular_values(self) -> Tensor:
        """Roots of the summed powers, once for every channel."""
        values = self._power(self.transfer.point_spread.double()).flatten(1).sqrt().repeat(1, self.image_shape[0])
        return values.sort(dim=1, descending=True).values

    def _power(self, like: Tensor) -> Tensor:
        """(N, 1, *frequencies of the data): the diagonal of A A'; kept, since a solver asks in every iteration."""
        if self.transfer.point_spread.requires_grad:
            return self._summed(like)
        key = like.dtype, like.device
        if key not in self._powers:
            self._powers[key] = self._summed(like)
        return self._powers[key]

    def _summed(self, like: Tensor) -> Tensor:
        """A mean over frequencies that fall together: of squares, since a small one would drown in the rounding of a
        correlation.
        """
        size = self.image_shape[1:]
        axes = tuple(range(2, 2 + len(size)))
        spread = torch.fft.irfftn(self.transfer.like(like), s=size, dim=axes)
        power: Tensor = torch.fft.fftn(spread, dim=axes).abs().square()
        for axis, factor in enumerate(self.factors, start=2):
            sides = power.shape
            power = power.reshape(*sides[:axis], factor, sides[axis] // factor, *sides[axis + 1 :]).mean(axis)
        return power

    def _kept(self) -> tuple[slice, ...]:
        """Of each block the pixel whose value, convolved, is of the block's centre."""
        return (slice(None), slice(None), *(slice(factor // 2, None, factor) for factor in self.factors))


def _shorter(shape: tuple[int, ...], factors: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], *(side // factor for side, factor in zip(shape[1:], factors, strict=True)))


def _filtered(measured: Tensor, response: Tensor) -> Tensor:
    """By frequency; `response` is real and even."""
    axes = tuple(range(2, measured.dim()))
    filtered: Tensor = torch.fft.ifftn(torch.fft.fftn(measured, dim=axes) * response, dim=axes).real
    return filtered


operator: type[Operator] = Downsampling
