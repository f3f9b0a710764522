"""Heads whose ventricles have a wanted size: the atlas is magnified about their middle, and less with distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client.sources._phantom_anatomy import Anatomy, Plane
from client.sources._phantom_atlas import AIR, BONE, CSF, SCALP, Atlas, Labels
from client.sources.phantom import tissues

SLICE_MM = 8.0
"""Place of the slice: through the bodies of the lateral ventricles."""
MIDDLE_MM = np.array([0.0, 0.0, 15.0])
"""Of the lateral ventricles, in atlas mm."""
REACH_MM = 30.0
WITHIN_MM = 38.0
"""Fluid farther from the middle is in the sulci."""
SMALLEST, LARGEST = -0.7, 0.85
"""Of the magnification's strength; beyond these the map would fold."""
STEPS, LATTICE = 9, 48


@dataclass(frozen=True)
class WidenedAnatomy(Anatomy):
    """strength: 0 is the atlas; above it the ventricles are wider."""

    strength: float = 0.0

    def slab(self, atlas: Atlas, x_mm: Plane, y_mm: Plane, z_mm: float, depths_mm: Plane) -> Labels:
        """See Anatomy."""
        points = self.atlas_points(x_mm, y_mm, z_mm).astype(np.float32)
        normal = self.matrix[:, 2].astype(np.float32)
        moved = [plane + (depths_mm * part)[:, None, None] for plane, part in zip(points, normal, strict=True)]
        return atlas.tissue_at(tuple(self._widened(np.stack(moved))))

    def _widened(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        middle = MIDDLE_MM.astype(np.float32)[:, None, None, None]
        away = points - middle
        near = np.exp(-np.square(away).sum(0) / (2 * REACH_MM**2))
        return np.asarray(middle + away * (1 - np.float32(self.strength) * near), np.float32)


def head_with(head: Anatomy, share: float) -> WidenedAnatomy:
    """The head, its ventricles as near to `share` percent of its inside as they can be."""
    low, high = SMALLEST, LARGEST
    for _ in range(STEPS):
        middle = (low + high) / 2
        if ventricle_share(_widened(head, middle)) < share:
            low = middle
        else:
            high = middle
    return _widened(head, (low + high) / 2)


def ventricle_share(head: Anatomy) -> float:
    """Percent of the head's inside, in the slice, that is fluid about the middle."""
    tissue = tissues(head, SLICE_MM, 1.0, LATTICE)[0]
    inside = ~np.isin(tissue, (AIR, BONE, SCALP))
    rows, columns = np.nonzero(inside)
    middle = np.array([rows.mean(), columns.mean()]) if len(rows) else np.zeros(2)
    lattice = np.indices(tissue.shape).transpose(1, 2, 0)
    near = np.linalg.norm(lattice - middle, axis=2) < WITHIN_MM * tissue.shape[0] / 220.0
    return 100 * float((inside & near & (tissue == CSF)).sum()) / max(int(inside.sum()), 1)


def _widened(head: Anatomy, strength: float) -> WidenedAnatomy:
    return WidenedAnatomy(head.matrix, head.offset_mm, head.control_mm, head.lesions, strength)
