"""Parallel projections of a plane as a sparse matrix, rays by pixels, and its product with many planes.

Pixels are of side 1 and the middle of the image is the centre of rotation. The ray at place t of a detector turned by
an angle is x cos + y sin = t, x along columns to the right and y along rows upwards: angle 0 looks along columns, so
that detectors follow one another like columns. What a pixel adds to a ray depends on the ray's distance from its
centre alone. These are the geometry and the kernels of the ASTRA toolbox (van Aarle et al. 2016).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, cos, sin
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Kernel = Literal["line", "strip", "linear"]
FLAT = 1e-12
"""A ray as nearly along an axis is along it; one as near to the edge of a pixel runs on it, half in either."""


@dataclass(frozen=True)
class Geometry:
    """rows, columns: of the image. degrees: angles. detectors: of each angle, `spacing` pixels apart, `shift` pixels
    to the right of the middle. range_degrees: that angles are spread over."""

    rows: int
    columns: int
    degrees: tuple[float, ...]
    detectors: int
    spacing: float
    kernel: Kernel
    shift: float = 0.0
    range_degrees: float = 180.0

    @property
    def entries(self) -> int:
        """About as many of the matrix are not zero."""
        reach = self._reach(1.3) / self.spacing
        return ceil(len(self.degrees) * self.rows * self.columns * min(reach, self.detectors))

    def widths(self, degrees: float) -> tuple[float, float]:
        """|cos| and |sin| of an angle, the greater first."""
        angle = np.deg2rad(degrees)
        short, long = sorted((abs(cos(angle)), abs(sin(angle))))
        return long, short if short > FLAT else 0.0

    def weights(self, distances: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
        """What pixels add to rays so far from their centres.

        line: the length of the ray in the pixel. strip: its mean over the detector's width. linear: between the
        centres of two neighbours, linearly (Joseph 1982).
        """
        long, short = self.widths(degrees)
        if self.kernel == "linear":
            return np.maximum(0, 1 - np.abs(distances) / long) / long
        if self.kernel == "line":
            return _length(distances, long, short)
        half = self.spacing / 2
        return (_area(distances + half, long, short) - _area(distances - half, long, short)) / self.spacing

    def reach(self, degrees: float) -> float:
        """Beyond this distance from a pixel's centre a ray gets nothing of it."""
        long, short = self.widths(degrees)
        return self._reach(long + short) / 2 if self.kernel != "linear" else long

    def _reach(self, shadow: float) -> float:
        return shadow + self.spacing * (self.kernel == "strip") if self.kernel != "linear" else 2.0


def _length(distances: NDArray[np.float64], long: float, short: float) -> NDArray[np.float64]:
    """Of rays in a pixel: level where they cross two opposite sides, falling to zero at its corners."""
    outer = (long + short) / 2 - np.abs(distances)
    if short:
        return np.clip(outer / short, 0, 1) / long
    return np.where(np.abs(outer) < FLAT, 0.5, outer > 0) / long


def _area(distances: NDArray[np.float64], long: float, short: float) -> NDArray[np.float64]:
    """Of the part of a pixel between its centre and a ray, with the distance's sign."""
    inner, outer = (long - short) / 2, (long + short) / 2
    size = np.minimum(np.abs(distances), outer)
    beyond = np.maximum(size - inner, 0)
    bent = beyond**2 / (2 * short) if short else 0
    return np.asarray(np.sign(distances) * (np.minimum(size, inner) + beyond - bent) / long)


def projected(planes: Tensor, geometry: Geometry) -> Tensor:
    """(N, pixels) to (N, rays)."""
    return _product(planes, geometry, False)


def back_projected(rays: Tensor, geometry: Geometry) -> Tensor:
    """(N, rays) to (N, pixels): the adjoint of `projected`."""
    return _product(rays, geometry, True)


@lru_cache(maxsize=8)
def _matrices(geometry: Geometry, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rays by pixels, and pixels by rays: made once for each geometry and precision."""
    from scipy.sparse import csr_array, vstack

    precision: Any = np.float32 if dtype == torch.float32 else np.float64
    shape = geometry.detectors, geometry.rows * geometry.columns
    views = [
        csr_array((weights.astype(precision), (detectors, pixels)), shape=shape)
        for detectors, pixels, weights in _views(geometry)
    ]
    matrix: Any = vstack(views, format="csr")
    del views  # of a large plane a GiB
    return _by_rows(matrix).to(device), _by_rows(matrix.T.tocsr()).to(device)


def _views(geometry: Geometry) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    """Of each view detectors, pixels and weights of all that is not zero."""
    x = np.tile(np.arange(geometry.columns) - (geometry.columns - 1) / 2, geometry.rows)
    y = np.repeat((geometry.rows - 1) / 2 - np.arange(geometry.rows), geometry.columns)
    for degrees in geometry.degrees:
        angle = np.deg2rad(degrees)
        centres = (x * cos(angle) + y * sin(angle) - geometry.shift) / geometry.spacing + (geometry.detectors - 1) / 2
        reach = geometry.reach(degrees) / geometry.spacing
        first = np.ceil(centres - reach - 1e-9).astype(np.int64)
        parts = []
        for more in range(int(2 * reach + 1e-9) + 2):
            detector = first + more
            weights = geometry.weights((detector - centres) * geometry.spacing, degrees)
            kept = np.flatnonzero((weights > FLAT) & (detector >= 0) & (detector < geometry.detectors))
            parts.append((detector[kept], kept, weights[kept]))
        detectors, pixels, values = (np.concatenate(column) for column in zip(*parts, strict=True))
        yield detectors, pixels, values


def _by_rows(matrix: Any) -> Tensor:
    matrix.sort_indices()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype(np.int32)),
            torch.from_numpy(matrix.indices.astype(np.int32, copy=False)),
            torch.from_numpy(matrix.data),
            size=matrix.shape,
            check_invariants=True,
        )


def ramped(rays: Tensor, spacing: float) -> Tensor:
    """(..., detectors) by the ramp filter, band-limited, sampled in space: no frequency loses its mean."""
    many = rays.shape[-1]
    length = 2 * many
    places = torch.arange(length, dtype=torch.float64)
    distance = torch.minimum(places, length - places)
    response = torch.where(distance % 2 == 1, -1 / (torch.pi * distance.clamp(min=1) * spacing) ** 2, 0.0)
    response[0] = 1 / (4 * spacing**2)
    spectrum = torch.fft.rfft(response * spacing).real.to(rays)
    filtered: Tensor = torch.fft.irfft(torch.fft.rfft(rays, length) * spectrum, length)[..., :many]
    return filtered


def _product(rows: Tensor, geometry: Geometry, back: bool) -> Tensor:
    product: Tensor = _Product.apply(rows, geometry, back)  # type: ignore[no-untyped-call]
    return product


class _Product(torch.autograd.Function):
    """The matrix, or its transpose, with rows of a batch; the gradient is the product with the other of the two.

    Matrices are looked up in `forward`, where no transform of functions is under way that would wrap what is kept.
    """

    @staticmethod
    def forward(rows: Tensor, geometry: Geometry, back: bool) -> Tensor:
        """(N, K) to (N, M)."""
        matrix = _matrices(geometry, rows.dtype, rows.device)[back]
        if len(rows) == 1:
            return (matrix @ rows[0])[None]
        return (matrix @ rows.T.contiguous()).T.contiguous()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """No tensor is saved: the gradient does not depend on the rows."""
        ctx.geometry, ctx.back = inputs[1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """By the other matrix."""
        return _product(gradients[0], ctx.geometry, not ctx.back), None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Tensor, int]:
        """Of many batches at once: one batch of them all."""
        rows = inputs[0].movedim(in_dims[0] or 0, 0)
        product = _product(rows.flatten(0, 1), *inputs[1:])
        return product.reshape(*rows.shape[:2], -1), 0
