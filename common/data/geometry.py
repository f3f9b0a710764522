"""Where voxels lie: the one coordinate convention of this project, as a type.

Three kinds of points, each an array (..., D) of float64 with D = 2 or 3, axes in the order of the array's axes:

- voxel: indices; voxel (0, 0, 0) has its centre there and reaches half a voxel to each side;
- world: millimetres, RAS: the axes grow towards the patient's Right, Anterior and Superior. Files of ITK are in
  LPS and are turned at the door, in the files that read and write them, and nowhere else;
- cube: each axis from -1 at the outer face of the first voxel to 1 at the outer face of the last, which is
  what `grid_sample(..., align_corners=False)` of torch calls its own, but in the order of the array's axes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.errors import ImageError
from common.metrics.maps import as_array

Points = NDArray[np.float64]
Matrix = NDArray[np.float64]

SMALLEST_DETERMINANT = 1e-9
"""Of the axes scaled to length 1, so that voxels of any size may be."""
LARGEST_COSINE = 2e-3
"""Of two axes at right angles: rounded headers stay below, and lengths are off by a thousandth at most."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """The lattice of an image. shape: D sizes. affine: (D + 1, D + 1), voxel to world, x = R diag(spacing) i + t.

    Raises ImageError for a shape that is not 2D or 3D or is empty, and for an affine that cannot be inverted.
    """

    shape: tuple[int, ...]
    affine: Matrix

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _checked(self.shape))
        size = len(self.shape)
        affine = np.array(as_array(self.affine, "the affine", may_be_nan=True), np.float64)
        if affine.shape != (size + 1, size + 1) or not np.isfinite(affine).all():
            raise ImageError(f"the affine of a {size}D image must be {size + 1} x {size + 1} finite numbers.")
        if not np.array_equal(affine[-1], np.eye(size + 1)[-1]):
            raise ImageError(f"the last row of an affine must be zeros and a one; it is {affine[-1].tolist()}.")
        with np.errstate(over="ignore"):
            lengths = np.linalg.norm(affine[:-1, :-1], axis=0)
        if (
            not np.isfinite(lengths).all()
            or not lengths.all()
            or abs(np.linalg.det(affine[:-1, :-1] / lengths)) < SMALLEST_DETERMINANT
        ):
            raise ImageError("the affine cannot be inverted: an axis has no length, or two run the same way.")
        affine.flags.writeable = False
        object.__setattr__(self, "affine", affine)

    @classmethod
    def of(
        cls,
        shape: tuple[int, ...],
        spacing_mm: ArrayLike = 1.0,
        origin_mm: ArrayLike = 0.0,
        direction: ArrayLike | None = None,
    ) -> Geometry:
        """From spacing (D,) or one number, origin (D,), the world point of voxel zero, and direction (D, D)."""
        shape = _checked(shape)
        size = len(shape)
        spacing = _fitting(spacing_mm, "spacing", (size,))
        if not (np.isfinite(spacing) & (spacing > 0)).all():
            raise ImageError(f"spacing must be above 0 mm; it is {spacing.tolist()}.")
        affine = np.eye(size + 1)
        turned = np.eye(size) if direction is None else _fitting(direction, "direction", (size, size))
        affine[:-1, :-1] = turned * spacing
        affine[:-1, -1] = _fitting(origin_mm, "origin", (size,))
        return cls(shape, affine)

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return len(self.shape)

    @cached_property
    def spacing_mm(self) -> tuple[float, ...]:
        """Distance between neighbours along each axis."""
        return tuple(map(float, np.linalg.norm(self.affine[:-1, :-1], axis=0)))

    @property
    def is_sheared(self) -> bool:
        """Whether two axes do not stand at right angles, as where a gantry was tilted: spacing then misleads."""
        cosines = self.direction.T @ self.direction - np.eye(self.dimensions)
        across = [axis for axis, size in enumerate(self.shape) if size > 1]
        return bool((np.abs(cosines[np.ix_(across, across)]) > LARGEST_COSINE).any())

    @property
    def origin_mm(self) -> Points:
        """(D,) the world point of the centre of voxel zero."""
        return np.asarray(self.affine[:-1, -1])

    @property
    def direction(self) -> Matrix:
        """(D, D) unit vectors of the axes, one a column."""
        return np.asarray(self.affine[:-1, :-1] / np.array(self.spacing_mm))

    @property
    def centre_mm(self) -> Points:
        """(D,) the world point of the middle of the image."""
        return self.voxel_to_world((np.array(self.shape) - 1) / 2)

    @cached_property
    def cube_affine(self) -> Matrix:
        """(D + 1, D + 1), cube to voxel: i = (u + 1) n / 2 - 1/2 on each axis."""
        half = np.array(self.shape, np.float64) / 2
        affine = np.diag([*half, 1.0])
        affine[:-1, -1] = half - 0.5
        return affine

    def voxel_to_world(self, points: ArrayLike) -> Points:
        """World points of voxel points."""
        return _apply(self.affine, points)

    def world_to_voxel(self, points: ArrayLike) -> Points:
        """Voxel points, not rounded, of world points."""
        return _apply(_inverse(self.affine), points)

    def voxel_to_cube(self, points: ArrayLike) -> Points:
        """Cube points of voxel points."""
        return _apply(_inverse(self.cube_affine), points)

    def cube_to_voxel(self, points: ArrayLike) -> Points:
        """Voxel points of cube points."""
        return _apply(self.cube_affine, points)

    def cube_to_world(self, points: ArrayLike) -> Points:
        """World points of cube points."""
        return _apply(self.affine @ self.cube_affine, points)

    def world_to_cube(self, points: ArrayLike) -> Points:
        """Cube points of world points."""
        return _apply(_inverse(self.affine @ self.cube_affine), points)

    def resized(self, shape: tuple[int, ...]) -> Geometry:
        """The same cube in the same place, divided into `shape` voxels: what a pyramid's coarser level is."""
        shape = _checked(shape)
        if len(shape) != self.dimensions:
            raise ImageError(f"an image of {self.dimensions} axes keeps them; {shape} has {len(shape)}.")
        ratio = np.array(self.shape, np.float64) / np.array(shape, np.float64)
        change = np.diag([*ratio, 1.0])
        change[:-1, -1] = (ratio - 1) / 2
        return Geometry(tuple(shape), self.affine @ change)

    def same_place(self, other: Geometry, tolerance_mm: float = 1e-3) -> bool:
        """Whether the shapes are equal and no entry of the affines differs by more than `tolerance_mm`.

        Nor by more than a hundredth of the spacing, which in micrometres is less.
        """
        least = min(tolerance_mm, 0.01 * min(*self.spacing_mm, *other.spacing_mm))
        return self.shape == other.shape and bool(np.allclose(self.affine, other.affine, rtol=0, atol=least))


def _checked(shape: Sequence[int]) -> tuple[int, ...]:
    """The sizes of two or three axes. Raises ImageError."""
    sizes = tuple(shape) if isinstance(shape, Iterable) and getattr(shape, "ndim", True) else ()
    if len(sizes) not in (2, 3) or not all(isinstance(one, (int, np.integer)) and one >= 1 for one in sizes):
        raise ImageError(f"an image must have 2 or 3 axes, none of them empty; its shape is {shape}.")
    return tuple(map(int, sizes))


def _fitting(given: ArrayLike, name: str, shape: tuple[int, ...]) -> Points:
    """Numbers of this shape; of a row one number stands for all. Raises ImageError."""
    values = np.asarray(as_array(given, name), np.float64)
    if values.shape != shape and (values.shape not in ((), (1,)) or len(shape) > 1):
        raise ImageError(f"{name} must be numbers of shape {shape}; its shape is {values.shape}.")
    return np.broadcast_to(values, shape)


def _apply(affine: Matrix, points: ArrayLike) -> Points:
    given = np.asarray(as_array(points, "points", may_be_nan=True), np.float64)
    if given.shape[-1:] != (len(affine) - 1,):
        raise ImageError(f"points must be (..., {len(affine) - 1}); they are {given.shape}.")
    return np.asarray(given @ affine[:-1, :-1].T + affine[:-1, -1])


def _inverse(affine: Matrix) -> Matrix:
    return np.asarray(np.linalg.inv(affine), np.float64)
