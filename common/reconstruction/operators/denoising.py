"""Denoising: the image itself is measured, with noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.reconstruction.imaging_operator import LinearMap, Operator


@dataclass(frozen=True)
class Denoising:
    """y = x + n: nothing is drawn."""

    complex_images: ClassVar[bool] = False

    def parameter_shapes(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        """None."""
        return {}

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Mapping[str, NDArray[np.float32]]:
        """None."""
        return {}

    def map(self, shape: tuple[int, ...], parameters: Mapping[str, Tensor]) -> LinearMap:
        """The identity."""
        return Identity(shape)


@dataclass(frozen=True)
class Identity:
    """A = I."""

    image_shape: tuple[int, ...]

    @property
    def measured_shape(self) -> tuple[int, ...]:
        """That of an image."""
        return self.image_shape

    def forward(self, images: Tensor) -> Tensor:
        """The same."""
        return images

    def adjoint(self, measured: Tensor) -> Tensor:
        """The same."""
        return measured

    def norm(self) -> Tensor:
        """1."""
        return torch.ones(1, dtype=torch.float64)

    def pseudo_inverse(self, measured: Tensor) -> Tensor:
        """The same."""
        return measured

    def solve_shifted(self, images: Tensor, weight: Tensor) -> Tensor:
        """Images divided by 1 + weight."""
        return images / (1 + weight.to(images).reshape(-1, *[1] * (images.dim() - 1)))

    def power_spectrum(self) -> Tensor:
        """Ones."""
        return torch.ones(1, *self.image_shape[1:], dtype=torch.float64)

    def singular_values(self) -> Tensor:
        """Ones."""
        return torch.ones(1, int(np.prod(self.image_shape)), dtype=torch.float64)


operator: type[Operator] = Denoising
