"""An operator of your own: what is measured of an image, y = A x, with its adjoint and norm."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from common.reconstruction import LinearMap, Operator
from common.reconstruction.shapes import demand_image, demand_parameters
from common.study.checks import probability


@dataclass(frozen=True)
class Mine:
    """shadow: by which share a coil on one side sees less of the other; on which side, is drawn for each case."""

    complex_images: ClassVar[bool] = False

    shadow: float = 0.5

    def __post_init__(self) -> None:
        probability("operator", shadow=self.shadow)

    def parameter_shapes(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        """brightness: along the last axis. What differs from case to case stands here, and travels with a case."""
        demand_image("operator", shape)
        return {"brightness": (shape[-1],)}

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Mapping[str, NDArray[np.float32]]:
        """One case's. Everything random is drawn here, by `rng`."""
        brightness = np.linspace(1, 1 - self.shadow, shape[-1], dtype=np.float32)
        return {"brightness": brightness if rng.random() < 0.5 else brightness[::-1].copy()}

    def map(self, shape: tuple[int, ...], parameters: Mapping[str, Tensor]) -> LinearMap:
        """Of a batch, by the parameters of each case."""
        found = demand_parameters("operator", self.parameter_shapes(shape), parameters)
        return Shaded(shape, found["brightness"])


@dataclass(frozen=True)
class Shaded:
    """brightness: (N, columns)."""

    image_shape: tuple[int, ...]
    brightness: Tensor

    @property
    def measured_shape(self) -> tuple[int, ...]:
        """That of an image."""
        return self.image_shape

    def forward(self, images: Tensor) -> Tensor:
        """A x, by torch alone, so that it has a gradient."""
        return images * self._shown(images)

    def adjoint(self, measured: Tensor) -> Tensor:
        """A' y: what is diagonal is its own adjoint."""
        return measured * self._shown(measured)

    def norm(self) -> Tensor:
        """(N,) float64: the largest singular value. Without a closed form: `spectral_norm`."""
        return self.brightness.double().amax(1)

    def pseudo_inverse(self, measured: Tensor) -> Tensor:
        """May be left out, as `solve_shifted` and `singular_values` are here; what is there must be exact."""
        return measured / self._shown(measured)

    def _shown(self, like: Tensor) -> Tensor:
        return self.brightness.to(like).reshape(len(self.brightness), *[1] * (like.dim() - 2), -1)


operator: type[Operator] = Mine
