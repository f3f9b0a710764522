"""The role of a regulariser: R of min_x |A x - y|^2 / 2 + weight R(x). Entries live in `regularisers/`.

An entry is a frozen dataclass of options. Images are (N, C, *S), and every case has its own value and weight. What a
method needs beyond the value is a role of its own: a proximal map, a quadratic form, or R(x) = g(K x) with K linear.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

Bounds = tuple[float, float]
"""What an image's values lie between; either may be infinite."""


@dataclass(frozen=True)
class Limits:
    """Of a proximal map that is found by iterations.

    tolerance: relative duality gap at which it ends. first: most iterations of its first call; later: of all others,
    which begin where the last one ended.
    """

    tolerance: float = 1e-4
    first: int = 2000
    later: int = 2000


class ProximalMap(Protocol):
    """argmin_z |z - image|^2 / 2 + weight R(z), over images within bounds. It may begin where its last call ended."""

    def __call__(self, images: Tensor, weight: Tensor) -> Tensor:
        """images: (N, C, *S). weight: (N,), zero or more."""
        ...


class Regulariser(Protocol):
    """A frozen dataclass of options in `common/reconstruction/regularisers/`."""

    @property
    def convex(self) -> bool:
        """Whether every solution is a global one, so that methods agree."""
        ...

    def value(self, images: Tensor) -> Tensor:
        """R: (N,) float64."""
        ...


@runtime_checkable
class Valued(Protocol):
    """A proximal map that knows R of the images it gave last."""

    value: Tensor | None
    """(N,) float64."""


@runtime_checkable
class Proximable(Protocol):
    """A regulariser with a proximal map."""

    def proximal(self, bounds: Bounds | None, limits: Limits) -> ProximalMap:
        """A map for one solution. limits: where it is found by iterations."""
        ...


@runtime_checkable
class Quadratic(Protocol):
    """R(x) = <x, H x> / 2."""

    def hessian(self, images: Tensor) -> Tensor:
        """H x: (N, C, *S)."""
        ...

    def curvature(self, axes: int) -> float:
        """At least the largest eigenvalue of H for images of so many axes after their channels."""
        ...


@runtime_checkable
class Split(Protocol):
    """R(x) = g(K x), where g has a proximal map in closed form."""

    def analysis(self, images: Tensor) -> Tensor:
        """K x: (N, *any)."""
        ...

    def synthesis(self, coefficients: Tensor) -> Tensor:
        """K' c: (N, C, *S)."""
        ...

    def split_norm(self, axes: int) -> float:
        """At least the largest singular value of K for images of so many axes after their channels."""
        ...

    def shrink(self, coefficients: Tensor, weight: Tensor) -> Tensor:
        """argmin_c |c - coefficients|^2 / 2 + weight g(c). weight: (N,)."""
        ...
