"""One patient's head: the atlas under a random affine map and a random smooth displacement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client.sources._phantom_atlas import LESION, WHITE, Atlas, Labels

CONTROL_SPACING_MM = 40.0
CONTROL_POINTS = 9
"""A cube of 9 control points a side covers 240 mm."""
LARGEST_CONTROL_MM = 0.4 * CONTROL_SPACING_MM
"""Below 0.4 of the spacing a cubic B-spline displacement never folds (Choi and Lee 2000)."""

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Anatomy:
    """From the scanner to the atlas, both in mm: y = matrix x + offset_mm + displacement(x).

    matrix: (3, 3). offset_mm: (3,). control_mm: (3, n, n, n), coefficients of a cubic B-spline on a lattice of
    CONTROL_SPACING_MM about the scanner's centre: component, z, y, x (free-form deformation, Rueckert et al. 1999).
    lesions: (M, 4), centre in atlas mm and radius in mm.
    """

    matrix: NDArray[np.float64]
    offset_mm: NDArray[np.float64]
    control_mm: NDArray[np.float64]
    lesions: NDArray[np.float64]

    def atlas_points(self, x_mm: Plane, y_mm: Plane, z_mm: float) -> NDArray[np.float64]:
        """(3, Y, X) atlas coordinates of the plane z_mm at all pairs of (X,) x_mm and (Y,) y_mm."""
        layer = np.einsum("k,ckji->cji", _spline_weights(np.array([z_mm]))[0], self.control_mm)
        points = _spline_weights(y_mm) @ layer @ _spline_weights(x_mm).T
        points += self.matrix[:, 0, None, None] * x_mm + self.matrix[:, 1, None, None] * y_mm[:, None]
        return np.asarray(points + (z_mm * self.matrix[:, 2] + self.offset_mm)[:, None, None])

    def slab(self, atlas: Atlas, x_mm: Plane, y_mm: Plane, z_mm: float, depths_mm: Plane) -> Labels:
        """(D, Y, X) tissues at each of (D,) depths below and above the plane z_mm, displaced as the plane is."""
        points = self.atlas_points(x_mm, y_mm, z_mm).astype(np.float32)
        normal = self.matrix[:, 2].astype(np.float32)
        moved = tuple(plane + (depths_mm * part)[:, None, None] for plane, part in zip(points, normal, strict=True))
        tissue = atlas.tissue_at(moved)
        for *centre, radius_mm in self.lesions.tolist():
            squared = sum((coordinate - place) ** 2 for coordinate, place in zip(moved, centre, strict=True))
            tissue[(squared < radius_mm**2) & (tissue == WHITE)] = LESION
        return tissue


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """A patient without lesions: head turned by about 4 degrees, 6 % larger or smaller, warped by about 3 mm."""
    turns = np.radians(rng.normal(0, (3, 3, 5)))
    scales = np.exp(rng.normal(0, 0.05, 3))
    shears = np.eye(3) + np.triu(rng.normal(0, 0.03, (3, 3)), 1)
    offset_mm = rng.normal(0, (3, 3, 2)) + ATLAS_CENTRE_MM
    control = rng.normal(0, 8.0, (3, CONTROL_POINTS, CONTROL_POINTS, CONTROL_POINTS))
    control_mm = np.clip(control, -LARGEST_CONTROL_MM, LARGEST_CONTROL_MM)
    return Anatomy(_rotation(turns) @ np.diag(scales) @ shears, offset_mm, control_mm, np.empty((0, 4)))


ATLAS_CENTRE_MM = np.array([0.0, -18.0, 10.0])
"""The middle of the head in atlas coordinates, which lies at the scanner's centre."""


def draw_lesions(atlas: Atlas, rng: np.random.Generator, mean_count: float) -> NDArray[np.float64]:
    """(M, 4) centres in white matter, atlas mm, and radii of 2 to 6 mm; M is Poisson about `mean_count`."""
    count = int(rng.poisson(mean_count))
    white = np.flatnonzero(atlas.labels == WHITE)
    chosen = np.unravel_index(rng.choice(white, count), atlas.labels.shape)
    return np.column_stack([np.stack(chosen, 1) + atlas.origin_mm, rng.uniform(2, 6, count)])


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3): about x, then y, then z, radians."""
    result = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        result = turn @ result
    return result


def _spline_weights(places_mm: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N, CONTROL_POINTS): the uniform cubic B-spline of every control point at (N,) places."""
    lattice = np.arange(CONTROL_POINTS) - (CONTROL_POINTS - 1) / 2
    distance = np.abs(places_mm[:, None] / CONTROL_SPACING_MM - lattice)
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, near, far)
