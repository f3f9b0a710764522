"""Strain of tissue from a transform: Green and Lagrange's tensor, which no rotation changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from common.data.geometry import Geometry
from common.errors import ImageError
from common.registration.sampling import POINTS_AT_ONCE, lattice_points
from common.registration.transform import Transform

Field = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Strain:
    """At each voxel of a lattice. displacement_mm: (*shape, D), world axes. gradient: (*shape, D, D), F = dT/dx."""

    displacement_mm: Field
    gradient: Field

    @property
    def tensor(self) -> Field:
        """(*shape, D, D) E = (F' F - 1) / 2 (Holzapfel 2000, equation 2.69): 0 for every rigid motion."""
        stretched = np.swapaxes(self.gradient, -1, -2) @ self.gradient
        return np.asarray((stretched - np.eye(stretched.shape[-1])) / 2)

    @property
    def principal(self) -> Field:
        """(*shape, D) eigenvalues of the tensor, the least first: most shortened to most stretched."""
        return np.asarray(np.linalg.eigvalsh(self.tensor))

    @property
    def volume_ratio(self) -> Field:
        """(*shape) det F: 1 where volume is kept, 0 or less where space folds."""
        return np.asarray(np.linalg.det(self.gradient))

    def along(self, directions: Field) -> Field:
        """(*shape) d' E d of unit vectors (*shape, D), such as radial or circumferential ones."""
        lengths = np.linalg.norm(directions, axis=-1, keepdims=True)
        unit = directions / np.where(lengths > 0, lengths, 1)
        return np.asarray(np.einsum("...i,...ij,...j->...", unit, self.tensor, unit))


def strain(transform: Transform, geometry: Geometry, step_voxels: float = 0.5) -> Strain:
    """By central differences of `step_voxels` of the shortest spacing. Raises ImageError where dimensions differ."""
    if transform.dimensions != geometry.dimensions:
        raise ImageError(f"a {transform.dimensions}D transform has no strain on a {geometry.dimensions}D lattice.")
    step = step_voxels * min(geometry.spacing_mm)
    points = lattice_points(geometry).reshape(-1, geometry.dimensions)
    parts = [_at(transform, part, step) for part in torch.split(points, POINTS_AT_ONCE)]
    moved, slopes = (np.concatenate(one) for one in zip(*parts, strict=True))
    size = geometry.dimensions
    return Strain(moved.reshape(*geometry.shape, size), slopes.reshape(*geometry.shape, size, size))


def _at(transform: Transform, points: torch.Tensor, step: float) -> tuple[Field, Field]:
    sides = step * torch.eye(transform.dimensions, dtype=torch.float64)
    with torch.no_grad():
        moved = transform.map_points(points) - points
        columns = [transform.map_points(points + side) - transform.map_points(points - side) for side in sides]
    return moved.numpy(), (torch.stack(columns, dim=-1) / (2 * step)).numpy()
