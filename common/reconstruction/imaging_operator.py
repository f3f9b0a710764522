"""The role of an operator: the A of y = A x + n. Entries live in `common/reconstruction/operators/`.

An entry is a frozen dataclass of options, the same at all hospitals. What differs from case to case (a mask of
k-space, a point spread, the coils' sensitivities) is drawn or brought by a hospital as named parameters, and travels
with the case. Entry and parameters make the linear map of a batch.

Images are real tensors (N, C, *S), C the number of channels; complex images have two, the real and the imaginary
part, and so has complex data. Inner products are those of these real numbers, so the adjoint of a complex map is its
conjugate transpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class LinearMap(Protocol):
    """A of a batch of N cases: linear, batched, differentiable, in the precision and on the device of what comes.

    Case i is mapped by its own parameters alone.
    """

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(C, *S) of one case."""
        ...

    @property
    def measured_shape(self) -> tuple[int, ...]:
        """Of one case's data."""
        ...

    def forward(self, images: Tensor) -> Tensor:
        """A x: (N, C, *S) to (N, *measured_shape)."""
        ...

    def adjoint(self, measured: Tensor) -> Tensor:
        """A' y: (N, *measured_shape) to (N, C, *S), where <A x, y> = <x, A' y>."""
        ...

    def norm(self) -> Tensor:
        """(N,) or (1,) float64: the largest singular value of A, to 1e-3 of itself."""
        ...


@runtime_checkable
class Invertible(Protocol):
    """A linear map that has a pseudo-inverse in closed form."""

    def pseudo_inverse(self, measured: Tensor) -> Tensor:
        """The image of least norm among those of least squares (Moore-Penrose)."""
        ...


@runtime_checkable
class Shifted(Protocol):
    """A linear map whose shifted normal equations have a closed form."""

    def solve_shifted(self, images: Tensor, weight: Tensor) -> Tensor:
        """(A'A + weight I)^-1 images, exactly. weight: (N,) or (1,), above zero."""
        ...


@runtime_checkable
class Spectral(Protocol):
    """A linear map whose singular values are known."""

    def singular_values(self) -> Tensor:
        """(N, K) float64, falling; K is the least of numbers of an image and of its data, zeros among them."""
        ...


@runtime_checkable
class Approximate(Protocol):
    """A linear map of which an image is known at once that is near, and in which noise is not much greater."""

    def approximate_inverse(self, measured: Tensor) -> Tensor:
        """(N, C, *S): what solvers and networks begin by, such as filtered back-projection."""
        ...


class Operator(Protocol):
    """A frozen dataclass of options in `common/reconstruction/operators/`."""

    complex_images: ClassVar[bool]
    """Whether an image has two channels, real and imaginary; else every channel is measured alike."""

    def parameter_shapes(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        """Of one case's parameters by name, for images of `shape` (C, *S); {} where options say all.

        Raises StudyError where images of that shape cannot be measured so.
        """
        ...

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Mapping[str, NDArray[np.float32]]:
        """One case's parameters, as `parameter_shapes` says."""
        ...

    def map(self, shape: tuple[int, ...], parameters: Mapping[str, Tensor]) -> LinearMap:
        """A of a batch. parameters: (N, *its shape) each. Raises StudyError where shapes do not fit."""
        ...
