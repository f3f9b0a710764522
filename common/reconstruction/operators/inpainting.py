"""Inpainting: some pixels of an image are seen, the others not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from common.errors import StudyError
from common.reconstruction.imaging_operator import LinearMap, Operator
from common.reconstruction.shapes import demand_image, demand_parameters
from common.study.checks import between

WHERE = "operator 'inpainting'"


@dataclass(frozen=True)
class Inpainting:
    """y = M x: an image where the mask is 1, and 0 elsewhere; all channels are hidden alike.

    hidden: the share of an image that is not seen. pattern: single `pixels` drawn evenly; one `box` of the image's
    proportions, anywhere; or `stripes`, whole lines drawn evenly. axis: that of the image along which stripes follow
    one another, counted from 0 after the channels.
    """

    complex_images: ClassVar[bool] = False

    hidden: float = 0.5
    pattern: Literal["pixels", "box", "stripes"] = "pixels"
    axis: int = 0

    def __post_init__(self) -> None:
        between(WHERE, 0.0, 1.0, hidden=self.hidden)
        if self.hidden == 1.0:
            raise StudyError(
                f"{WHERE}.hidden must be below 1: of an image of which nothing is seen nothing is known."
            )
        between(WHERE, 0, 2, axis=self.axis)

    def parameter_shapes(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        """mask: (*S) of 0 and 1."""
        demand_image(WHERE, shape, axis=self.axis)
        return {"mask": shape[1:]}

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Mapping[str, NDArray[np.float32]]:
        """The mask."""
        seen = {"pixels": self._pixels, "box": self._box, "stripes": self._stripes}[self.pattern](rng, shape[1:])
        return {"mask": seen.astype(np.float32)}

    def map(self, shape: tuple[int, ...], parameters: Mapping[str, Tensor]) -> LinearMap:
        """M, of each case by its own mask."""
        return Masked(shape, demand_parameters(WHERE, self.parameter_shapes(shape), parameters)["mask"])

    def _pixels(self, rng: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.bool_]:
        seen = np.ones(size, bool)
        seen.flat[rng.choice(seen.size, round(self.hidden * seen.size), replace=False)] = False
        return seen

    def _box(self, rng: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.bool_]:
        sides = [round(side * self.hidden ** (1 / len(size))) for side in size]
        starts = [int(rng.integers(side - hidden + 1)) for side, hidden in zip(size, sides, strict=True)]
        seen = np.ones(size, bool)
        seen[tuple(slice(start, start + hidden) for start, hidden in zip(starts, sides, strict=True))] = False
        return seen

    def _stripes(self, rng: np.random.Generator, size: tuple[int, ...]) -> NDArray[np.bool_]:
        lines = size[self.axis]
        seen = np.ones(size, bool)
        hidden = rng.choice(lines, round(self.hidden * lines), replace=False)
        np.moveaxis(seen, self.axis, 0)[hidden] = False
        return seen


@dataclass(frozen=True)
class Masked:
    """M. mask: (N, *S) of 0 and 1."""

    image_shape: tuple[int, ...]
    mask: Tensor

    @property
    def measured_shape(self) -> tuple[int, ...]:
        """That of an image, zero where it is hidden."""
        return self.image_shape

    def forward(self, images: Tensor) -> Tensor:
        """What is seen."""
        return images * self._mask(images)

    def adjoint(self, measured: Tensor) -> Tensor:
        """The same."""
        return self.forward(measured)

    def support(self) -> Tensor:
        """(N, *measured_shape) 1 where something is measured."""
        return self.mask[:, None].expand(-1, *self.image_shape)

    def norm(self) -> Tensor:
        """(N,) 1, or 0 where nothing is seen."""
        return self.mask.flatten(1).amax(1).double()

    def pseudo_inverse(self, measured: Tensor) -> Tensor:
        """The adjoint."""
        return self.adjoint(measured)

    def solve_shifted(self, images: Tensor, weight: Tensor) -> Tensor:
        """Pixel by pixel, divided by mask + weight."""
        return images / (self._mask(images) + weight.to(images).reshape(-1, *[1] * (images.dim() - 1)))

    def singular_values(self) -> Tensor:
        """Ones, one for each number seen, then zeros."""
        values = self.mask.flatten(1).double().repeat(1, self.image_shape[0])
        return values.sort(dim=1, descending=True).values

    def _mask(self, like: Tensor) -> Tensor:
        return self.mask.to(like)[:, None]


operator: type[Operator] = Inpainting
