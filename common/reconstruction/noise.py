"""What a scanner adds to data: drawn from a generator that is given, and never where nothing is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from common.errors import StudyError
from common.reconstruction.imaging_operator import LinearMap
from common.study.checks import non_negative, positive

MOST_PHOTONS = 1e15


@runtime_checkable
class Supported(Protocol):
    """A linear map that leaves some of its data zero, whatever the image."""

    def support(self) -> Tensor:
        """(N or 1, *measured_shape) 1 where something is measured, else 0."""
        ...


class Noise(Protocol):
    """What becomes of exact data."""

    def added(self, measured: Tensor, linear: LinearMap, rng: np.random.Generator) -> Tensor:
        """Noisy data of (N, *measured_shape), in the same precision."""
        ...


@dataclass(frozen=True)
class GaussianNoise:
    """deviation: standard deviation of what is added to each number, in the unit of the data.

    Of complex data these are the real and the imaginary part each, so a magnitude's noise is of deviation times the
    root of 2. The Fourier transforms here are orthonormal: an image's noise has the same deviation in k-space.
    """

    deviation: float

    def __post_init__(self) -> None:
        non_negative("noise", deviation=self.deviation)

    def added(self, measured: Tensor, linear: LinearMap, rng: np.random.Generator) -> Tensor:
        """Data plus noise where something is measured."""
        drawn = torch.from_numpy(rng.normal(size=tuple(measured.shape))).to(measured)
        return measured + self.deviation * drawn * is_measured(linear, measured)


@dataclass(frozen=True)
class PhotonNoise:
    """Counts of photons behind a body: Poisson, of mean photons * exp(-attenuation * line integral), and back by log.

    photons: that a detector counts without a body (I0). attenuation: of one unit of the image over one pixel; a
    line integral in the data times it is an optical depth. A detector that counts nothing is taken to have counted
    one half, since no depth is infinite.
    """

    photons: float
    attenuation: float = 1.0

    def __post_init__(self) -> None:
        positive("noise", photons=self.photons, attenuation=self.attenuation)
        if self.photons > MOST_PHOTONS:
            raise StudyError(f"noise.photons must be at most {MOST_PHOTONS:g}; it is {self.photons!r}.")

    def added(self, measured: Tensor, linear: LinearMap, rng: np.random.Generator) -> Tensor:
        """Line integrals from counts. Raises StudyError where images are negative beyond all counting."""
        depth = (measured.double() * self.attenuation).cpu().numpy()
        if not np.isfinite(depth).all() or depth.min(initial=0) < np.log(self.photons / MOST_PHOTONS):
            raise StudyError("noise: an image of negative values lets more photons through than can be counted.")
        counted = np.maximum(rng.poisson(self.photons * np.exp(-depth)), 0.5)
        integrals = torch.from_numpy(-np.log(counted / self.photons) / self.attenuation)
        return integrals.to(measured) * is_measured(linear, measured)


def is_measured(linear: LinearMap, measured: Tensor) -> Tensor:
    """1 where a map measures anything, in the data's precision."""
    return linear.support().to(measured) if isinstance(linear, Supported) else torch.ones_like(measured)
