"""Radial MRI of one coil or several: k-space along spokes through its middle, each turned by the golden angle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import pi, prod, sqrt
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.errors import StudyError
from common.reconstruction import coils
from common.reconstruction.imaging_operator import LinearMap, Operator
from common.reconstruction.nonuniform_fourier import WIDTH, NonuniformFourier
from common.reconstruction.shapes import demand_complex, demand_parameters
from common.reconstruction.spectral_norm import kept_norms, spectral_norm
from common.study.checks import between

WHERE = "operator 'radial_mri'"
GOLDEN_DEGREES = 360 / (1 + sqrt(5))
"""111.246: 180 degrees by the golden ratio (Winkelmann et al. 2007)."""
MOST_WEIGHTS = 1 << 28


@dataclass(frozen=True)
class RadialMri:
    """y = M N S x: of each coil the Fourier transform at samples on spokes, of a volume slice by slice along its
    first axis, where a spoke is measured.

    spokes: how many, of which each is a golden angle farther than the one before, from a drawn one.
    measured_spokes: how many of them a case has, the first ones; all if not given. samples: of each spoke, from one
    edge of k-space to the other; twice the image's longer side if not given, which keeps its corners apart. coils:
    how many, simulated about the image, their sensitivities parameters of a case, squares of sum 1; a single one
    sees all alike.
    """

    complex_images: ClassVar[bool] = True

    spokes: int = 32
    measured_spokes: int | None = None
    samples: int | None = None
    coils: int = 1

    def __post_init__(self) -> None:
        between(WHERE, 1, 100_000, spokes=self.spokes)
        if self.measured_spokes is not None:
            between(WHERE, 1, self.spokes, measured_spokes=self.measured_spokes)
        if self.samples is not None:
            between(WHERE, 2, 100_000, samples=self.samples)
        between(WHERE, 1, coils.MOST_COILS, coils=self.coils)

    def parameter_shapes(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        """degrees: (spokes,). spokes: (spokes,) 1 of those measured, else 0. sensitivities: (2 coils, *S)."""
        demand_complex(WHERE, shape, coils=self.coils)
        weights = self.spokes * self._samples(shape) * WIDTH**2
        if weights > MOST_WEIGHTS:
            raise StudyError(
                f"{WHERE}: {self.spokes} spokes of {self._samples(shape)} samples need {weights} weights of the "
                f"grid; at most {MOST_WEIGHTS} are kept. Choose fewer."
            )
        several = {"sensitivities": (2 * self.coils, *shape[1:])} if self.coils > 1 else {}
        return {"degrees": (self.spokes,), "spokes": (self.spokes,), **several}

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Mapping[str, NDArray[np.float32]]:
        """Where the first spoke lies; then the coils' ring."""
        named = self.parameter_shapes(shape)
        degrees = (rng.uniform(0, 180) + GOLDEN_DEGREES * np.arange(self.spokes)) % 180
        measured = np.arange(self.spokes) < (self.measured_spokes or self.spokes)
        found = {"degrees": degrees.astype(np.float32), "spokes": measured.astype(np.float32)}
        several = "sensitivities" in named
        return {**found, "sensitivities": coils.drawn(rng, self.coils, shape[1:])} if several else found

    def map(self, shape: tuple[int, ...], parameters: Mapping[str, Tensor]) -> LinearMap:
        """M N S, of each case by its own spokes and sensitivities."""
        found = demand_parameters(WHERE, self.parameter_shapes(shape), parameters)
        return Spokes(shape, found["degrees"], found["spokes"], self._samples(shape), found.get("sensitivities"))

    def _samples(self, shape: tuple[int, ...]) -> int:
        return self.samples or 2 * max(shape[-2:])


@dataclass(frozen=True)
class Spokes:
    """M N S. degrees, spokes: (N, L). sensitivities: (N, 2K, *S), or None of a coil that sees all alike."""

    image_shape: tuple[int, ...]
    degrees: Tensor
    spokes: Tensor
    samples: int
    sensitivities: Tensor | None
    _kept: list[NonuniformFourier] = field(default_factory=list, repr=False, compare=False)

    @property
    def measured_shape(self) -> tuple[int, ...]:
        """(2K, slices of a volume, spokes, samples)."""
        channels = 2 if self.sensitivities is None else self.sensitivities.shape[1]
        return (channels, *self.image_shape[1:-2], self.degrees.shape[1], self.samples)

    def frequencies(self) -> Tensor:
        """(N, L, samples, 2) along rows and columns in cycles a field of view, float64: the middle is sample // 2.

        Degrees are counted from the last axis towards the one before.
        """
        angles = torch.deg2rad(self.degrees.double())[:, :, None]
        along = (torch.arange(self.samples, device=angles.device) - self.samples // 2) / self.samples
        rows, columns = self.image_shape[-2:]
        return torch.stack([along * angles.sin() * rows, along * angles.cos() * columns], dim=-1)

    def forward(self, images: Tensor) -> Tensor:
        """Samples of each coil, zero on spokes that are not measured."""
        shown = images if self.sensitivities is None else coils.seen(images, self.sensitivities)
        samples = self._transform().forward(_planes(shown))
        return self._masked(_channels(samples, (len(images), *self.measured_shape)))

    def adjoint(self, measured: Tensor) -> Tensor:
        """Samples gridded without a density, and combined."""
        planes = self._transform().adjoint(_planes(self._masked(measured)).flatten(-2))
        shape = (len(measured), self.measured_shape[0], *self.image_shape[1:])
        images = _channels(planes, shape)
        return images if self.sensitivities is None else coils.combined(images, self.sensitivities)

    def support(self) -> Tensor:
        """(N, *measured_shape) 1 where something is measured."""
        return self._masked(self.spokes.new_ones(len(self.spokes), *self.measured_shape))

    def approximate_inverse(self, measured: Tensor) -> Tensor:
        """The adjoint of data weighed by the part of k-space that each sample stands for, as if spokes were even."""
        apart = 1 / self.samples
        along = (torch.arange(self.samples, device=measured.device) - self.samples // 2).abs() * apart
        along[self.samples // 2] = apart / 4  # a share of the disc of half a step about the middle
        spokes = self.spokes.double().sum(1).clamp(min=1)
        share = (pi * apart * prod(self.image_shape[-2:]) / spokes).to(measured)
        return self.adjoint(measured * along.to(measured) * share.reshape(-1, *[1] * (measured.dim() - 1)))

    def norm(self) -> Tensor:
        """(N,) by iteration."""
        several = [] if self.sensitivities is None else [self.sensitivities]
        kind = "radial", self.image_shape, self.samples
        return kept_norms(kind, self._norms, self.degrees, self.spokes, *several)

    def _norms(self, degrees: Tensor, spokes: Tensor, sensitivities: Tensor | None = None) -> Tensor:
        part = Spokes(self.image_shape, degrees, spokes, self.samples, sensitivities)
        return spectral_norm(part.forward, part.adjoint, (len(spokes), *self.image_shape), spokes.device)

    def _transform(self) -> NonuniformFourier:
        if not self._kept:
            rows, columns = self.image_shape[-2:]
            self._kept.append(NonuniformFourier.at((rows, columns), self.frequencies().flatten(1, 2)))
        return self._kept[0]

    def _masked(self, measured: Tensor) -> Tensor:
        spokes = self.spokes.to(measured)
        return measured * spokes.reshape(len(spokes), *[1] * (measured.dim() - 3), -1, 1)


def _planes(images: Tensor) -> Tensor:
    """(N, M, rows, columns) complex of (N, 2K, *slices, rows, columns)."""
    apart = images.reshape(len(images), images.shape[1] // 2, 2, *images.shape[2:])
    return torch.view_as_complex(apart.movedim(2, -1).contiguous()).flatten(1, -3)


def _channels(planes: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The inverse of `_planes`, for what has the shape (N, 2K, ...)."""
    apart = torch.view_as_real(planes.reshape(shape[0], shape[1] // 2, *shape[2:]))
    return apart.movedim(-1, 2).reshape(shape)


operator: type[Operator] = RadialMri
