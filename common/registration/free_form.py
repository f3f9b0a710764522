"""Free-form deformation by cubic B-splines on a lattice of control points (Rueckert et al. 1999)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from common.data.geometry import Geometry
from common.errors import ImageError
from common.registration.transform import NumericalInverse, Transform

SUPPORT = 4


@dataclass(frozen=True, eq=False)
class FreeForm:
    """x -> x + sum of the 4^D nearest control points' vectors, weighted by B-splines; zero far from the lattice.

    vectors: (C, D) float64 mm, control points of `lattice` in C order. Equation 1 of Rueckert et al. 1999.
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
        return self.displaced(points, *support(points, self.lattice))

    def displaced(self, points: Tensor, indices: Tensor, weights: Tensor) -> Tensor:
        """Points moved with their `support`, which need not be worked out again while vectors change."""
        moved = embedding_bag(indices, self.vectors.to(points.dtype), per_sample_weights=weights, mode="sum")
        return points + moved.reshape(points.shape)

    def inverse(self) -> Transform:
        """Solved at each point when it is asked for."""
        return NumericalInverse(self)


def control_lattice(image: Geometry, spacing_mm: float) -> Geometry:
    """Control points about `spacing_mm` apart along the image's axes, so that all of the image is supported."""
    lengths = [size * spacing for size, spacing in zip(image.shape, image.spacing_mm, strict=True)]
    counts = [max(1, round(length / spacing_mm)) for length in lengths]
    faces = image.resized(tuple(counts))
    affine = faces.affine.copy()
    affine[:-1, -1] = faces.voxel_to_world(np.full(len(counts), -1.5))
    return Geometry(tuple(count + 3 for count in counts), affine)


def support(points: Tensor, lattice: Geometry) -> tuple[Tensor, Tensor]:
    """Indices (N, 4^D) of control points and their weights, for points (..., D); weight 0 beyond the lattice."""
    inverse = torch.from_numpy(np.linalg.inv(lattice.affine)).to(points.dtype)
    places = points.reshape(-1, lattice.dimensions) @ inverse[:-1, :-1].T + inverse[:-1, -1]
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


def bending_energy(vectors: Tensor, lattice: Geometry) -> Tensor:
    """Mean square of second differences of control vectors over the squared spacing: Rueckert's equation 4."""
    grid = vectors.reshape(*lattice.shape, -1)
    total = torch.zeros((), dtype=vectors.dtype)
    for one, two in product(range(lattice.dimensions), repeat=2):
        bent = grid.diff(dim=one).diff(dim=two)
        if bent.numel():
            total = total + (bent / (lattice.spacing_mm[one] * lattice.spacing_mm[two])).square().mean()
    return total
