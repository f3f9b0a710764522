"""Computed tomography by parallel beams: sums along rays through an image, from few angles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, hypot
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from common.errors import StudyError
from common.reconstruction.imaging_operator import LinearMap, Operator
from common.reconstruction.projection import Geometry, back_projected, projected, ramped
from common.reconstruction.shapes import demand_image, demand_parameters
from common.reconstruction.spectral_norm import kept_norms, spectral_norm
from common.study.checks import between

WHERE = "operator 'ct'"
MOST_ENTRIES = 1 << 27
"""Of the matrix of a plane: with its transpose 2 GiB in float32."""


@dataclass(frozen=True)
class Ct:
    """y = M R x: line integrals in pixels, of a volume slice by slice along its first axis, where a view is measured.

    views: how many angles, evenly spaced. measured_views: how many of them a case has, as evenly as can be from a
    drawn one; all if not given. first_degrees: the first angle, 0 along columns. range_degrees: over which angles are
    spread, its end left out. detectors: how many each view has; if not given, as many as see the whole image.
    detector_pixels: from one to the next, in pixels of the image. detector_shift: in pixels, of their middle from
    that of the image. kernel: what a pixel adds to a ray: `line` (the ray's length in a pixel), `strip` (mean over
    the detector's width) or `linear` (between two neighbours).
    """

    complex_images: ClassVar[bool] = False

    views: int = 60
    measured_views: int | None = None
    first_degrees: float = 0.0
    range_degrees: float = 180.0
    detectors: int | None = None
    detector_pixels: float = 1.0
    detector_shift: float = 0.0
    kernel: Literal["line", "strip", "linear"] = "linear"

    def __post_init__(self) -> None:
        between(WHERE, 1, 10_000, views=self.views)
        if self.measured_views is not None:
            between(WHERE, 1, self.views, measured_views=self.measured_views)
        between(WHERE, -360.0, 360.0, first_degrees=self.first_degrees)
        between(WHERE, 0.001, 360.0, range_degrees=self.range_degrees)
        if self.detectors is not None:
            between(WHERE, 1, 20_000, detectors=self.detectors)
        between(WHERE, 0.01, 100.0, detector_pixels=self.detector_pixels)
        between(WHERE, -1e4, 1e4, detector_shift=self.detector_shift)

    def geometry(self, shape: tuple[int, ...]) -> Geometry:
        """Of images of `shape`, checked. Raises StudyError for those that are none, or too large."""
        demand_image(WHERE, shape)
        rows, columns = shape[-2:]
        degrees = tuple(self.first_degrees + self.range_degrees * view / self.views for view in range(self.views))
        found = Geometry(
            rows,
            columns,
            degrees,
            self.detectors or self._enough(rows, columns),
            self.detector_pixels,
            self.kernel,
            self.detector_shift,
            self.range_degrees,
        )
        if found.entries > MOST_ENTRIES:
            raise StudyError(
                f"{WHERE}: {self.views} views of a plane of {rows} x {columns} pixels need a matrix of about "
                f"{found.entries} entries; at most {MOST_ENTRIES} are kept. Choose fewer views or smaller images."
            )
        return found

    def parameter_shapes(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        """views: (views,) 1 of those measured, else 0."""
        self.geometry(shape)
        return {"views": (self.views,)}

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Mapping[str, NDArray[np.float32]]:
        """Which views are measured; nothing is drawn where all are."""
        many = self.measured_views or self.views
        first = 0 if many == self.views else int(rng.integers(self.views))
        chosen = (first + np.arange(many) * self.views // many) % self.views
        views = np.zeros(self.views, np.float32)
        views[chosen] = 1
        return {"views": views}

    def map(self, shape: tuple[int, ...], parameters: Mapping[str, Tensor]) -> LinearMap:
        """M R, of each case by its own views."""
        found = demand_parameters(WHERE, self.parameter_shapes(shape), parameters)
        return Projection(shape, self.geometry(shape), found["views"])

    def _enough(self, rows: int, columns: int) -> int:
        """The diagonal, and even where columns are."""
        many = ceil((hypot(rows, columns) + 2 * abs(self.detector_shift)) / self.detector_pixels)
        return many + (many - columns) % 2


@dataclass(frozen=True)
class Projection:
    """M R. views: (N, V) of 0 and 1."""

    image_shape: tuple[int, ...]
    geometry: Geometry
    views: Tensor

    @property
    def measured_shape(self) -> tuple[int, ...]:
        """(C, slices of a volume, views, detectors)."""
        return (*self.image_shape[:-2], len(self.geometry.degrees), self.geometry.detectors)

    def forward(self, images: Tensor) -> Tensor:
        """Line integrals, zero in views that are not measured."""
        rays = projected(images.reshape(-1, images.shape[-2] * images.shape[-1]), self.geometry)
        return rays.reshape(len(images), *self.measured_shape) * self._views(images)

    def adjoint(self, measured: Tensor) -> Tensor:
        """Back-projection without a filter."""
        rays = (measured * self._views(measured)).reshape(-1, measured.shape[-2] * measured.shape[-1])
        return back_projected(rays, self.geometry).reshape(len(measured), *self.image_shape)

    def support(self) -> Tensor:
        """(N, *measured_shape) 1 where something is measured."""
        return self._views(self.views).expand(-1, *self.measured_shape)

    def approximate_inverse(self, measured: Tensor) -> Tensor:
        """Filtered back-projection (Kak and Slaney 1988, equations 3.61 and 3.65), each view for as many degrees."""
        span = min(self.geometry.range_degrees, 180.0)
        step = np.deg2rad(span) / self.views.double().sum(1).clamp(min=1)
        filtered = ramped(measured, self.geometry.spacing)
        scale: Tensor = step * self.geometry.spacing
        return self.adjoint(filtered) * scale.to(measured).reshape(-1, *[1] * len(self.image_shape))

    def norm(self) -> Tensor:
        """(N,) by iteration."""
        return kept_norms(self.geometry, self._norms, self.views)

    def _norms(self, views: Tensor) -> Tensor:
        """Of one plane: slices and channels are measured alike."""
        plane = Projection((1, *self.image_shape[-2:]), self.geometry, views)
        return spectral_norm(plane.forward, plane.adjoint, (len(views), *plane.image_shape), views.device)

    def _views(self, like: Tensor) -> Tensor:
        views = self.views.to(like)
        return views.reshape(len(views), *[1] * (len(self.image_shape) - 2), -1, 1)


operator: type[Operator] = Ct
