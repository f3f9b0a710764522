"""Free-form deformation by cubic B-splines on a lattice of control points (Rueckert et al. 1999)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor
from torch.nn.functional import embedding_bag

from common.data.geometry import Geometry
from common.errors import ImageError
from common.registration.transform import LARGEST_ERROR_MM, NumericalInverse, Transform

SUPPORT = 4


@dataclass(frozen=True, eq=False)
class FreeForm:
    """x -> x + sum of the 4^D nearest control points' vectors, weighted by B-splines.

    Beyond the cells that have all their control points, the vectors are those of the nearest face. vectors:
    (C, D) float64 mm, control points of `lattice` in C order. Equation 1 of Rueckert et al. 1999.
    """

    vectors: Tensor
    lattice: Geometry

    def __post_init__(self) -> None:
        wanted = (int(np.prod(self.lattice.shape)), self.lattice.dimensions)
        if tuple(self.vectors.shape) != wanted:
            raise ImageError(f"control vectors must be {wanted}; they are {tuple(self.vectors.shape)}.")

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return self.lattice.dimensions

    def map_points(self, points: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        if points.requires_grad or self.vectors.requires_grad:
            return self.displaced(points, *support(points, self.lattice))
        return points + self._read(points).to(points.dtype)

    def _read(self, points: Tensor) -> Tensor:
        """(..., D) vectors, by SciPy, which is several times as fast where no slopes are asked for."""
        last = np.array(self.lattice.shape) - 2
        places = np.moveaxis(np.clip(self.lattice.world_to_voxel(points.double().numpy()), 1, last), -1, 0)
        grid = np.moveaxis(self.vectors.numpy().reshape(*self.lattice.shape, -1), -1, 0)
        parts = [map_coordinates(part, places, order=3, prefilter=False, mode="nearest") for part in grid]
        return torch.from_numpy(np.stack(parts, axis=-1))

    def displaced(self, points: Tensor, indices: Tensor, weights: Tensor) -> Tensor:
        """Points moved with their `support`, which need not be worked out again while vectors change."""
        moved = embedding_bag(indices, self.vectors.to(points.dtype), per_sample_weights=weights, mode="sum")
        return points + moved.reshape(points.shape)

    def inverse(self) -> Transform:
        """Solved at each point when it is asked for."""
        return NumericalInverse(self, LARGEST_ERROR_MM * min(1.0, *self.lattice.spacing_mm))


def control_lattice(image: Geometry, spacing_mm: float) -> Geometry:
    """Control points about `spacing_mm` apart along the image's axes, so that all of the image is supported."""
    lengths = [size * spacing for size, spacing in zip(image.shape, image.spacing_mm, strict=True)]
    return control_lattice_of(image, [max(1, round(length / spacing_mm)) for length in lengths])


def control_lattice_of(image: Geometry, cells: Sequence[int]) -> Geometry:
    """Control points of so many cells along the image's axes, and one point more before and two after the first."""
    faces = image.resized(tuple(cells))
    affine = faces.affine.copy()
    affine[:-1, -1] = faces.voxel_to_world(np.full(len(cells), -1.5))
    return Geometry(tuple(count + 3 for count in cells), affine)


def spline_weights(size: int, cells: int) -> Tensor:
    """(size, cells + 3) float32 weights of control points at voxels' centres along one axis of the image."""
    places = (torch.arange(size, dtype=torch.float64) + 0.5) * cells / size
    first = places.floor().clamp(max=cells - 1)
    weights = torch.zeros(size, cells + 3, dtype=torch.float64)
    return weights.scatter_(1, first.long()[:, None] + torch.arange(SUPPORT), cubic_weights(places - first)).float()


def subdivided(vectors: Tensor, halved: Sequence[bool]) -> Tensor:
    """(D, *points) -> (D, *points of half the cells where `halved`): the same spline."""
    for axis, yes in enumerate(halved, start=1):
        if yes:
            cells = vectors.shape[axis] - 3
            matrix = torch.zeros(2 * cells + 3, cells + 3, dtype=vectors.dtype)
            for row in range(len(matrix)):
                low, odd = divmod(row, 2)
                matrix[row, low : low + 2 + odd] = torch.tensor([1, 6, 1] if odd else [4, 4], dtype=vectors.dtype) / 8
            vectors = torch.movedim(torch.tensordot(matrix, vectors, dims=([1], [axis])), 0, axis)
    return vectors


def support(points: Tensor, lattice: Geometry) -> tuple[Tensor, Tensor]:
    """Indices (N, 4^D) of control points and their weights, for points (..., D); those of the nearest face beyond."""
    inverse = torch.from_numpy(np.linalg.inv(lattice.affine)).to(points.dtype)
    last = torch.tensor(lattice.shape, dtype=points.dtype) - 2
    places = points.reshape(-1, lattice.dimensions) @ inverse[:-1, :-1].T + inverse[:-1, -1]
    places = torch.minimum(places.clamp(min=1), last)
    below = places.detach().floor()
    splines = cubic_weights(places - below)
    first = below.to(torch.int64) - 1
    indices, weights = torch.zeros(1, dtype=torch.int64), torch.ones(1, dtype=points.dtype)
    for axis, size in enumerate(lattice.shape):
        along = first[:, axis, None] + torch.arange(SUPPORT)
        inside = (along >= 0) & (along < size)
        here = splines[:, axis] * inside
        indices = (indices[..., :, None] * size + along.clamp(0, size - 1)[..., None, :]).flatten(-2)
        weights = (weights[..., :, None] * here[..., None, :]).flatten(-2)
    return indices, weights


def cubic_weights(fraction: Tensor) -> Tensor:
    """(..., 4) the cubic B-spline at -1 - f, -f, 1 - f, 2 - f for f in [0, 1)."""
    f = fraction[..., None]
    parts = [(1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3]
    return torch.cat(parts, dim=-1) / 6


def bending_energy(cells: Tensor) -> Tensor:
    """() mean square of second differences of control vectors (D, *points) in cells: Rueckert's equation 4."""
    total = torch.zeros((), dtype=cells.dtype)
    for one, two in product(range(1, cells.ndim), repeat=2):
        bent = cells.diff(dim=one).diff(dim=two)
        if bent.numel():
            total = total + bent.square().sum(dim=0).mean()
    return total
