"""Tissue followed through a series: a deformation from the first volume to each, and the strain of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.data.geometry import Geometry, Points
from common.data.image import Image, as_plane
from common.data.series import Series
from common.registration.deformation import DEFORMABLE
from common.registration.displacement import sampled
from common.registration.linear import Linear
from common.registration.register import register
from common.registration.sampling import lattice_points
from common.registration.strain import Strain, strain
from common.registration.transform import Transform
from common.study.checks import one_of

FIGURES = ("moved mm", "radial", "round", "least", "largest", "volume ratio")


@dataclass(frozen=True, eq=False)
class Followed:
    """Of each instant: transforms, the first volume's world to that one's, mm; strains, on the first one's lattice.

    doubts, notes: as of a registration, with the volume's number.
    """

    geometry: Geometry
    transforms: tuple[Transform, ...]
    strains: tuple[Strain, ...]
    doubts: tuple[str, ...]
    notes: tuple[str, ...]

    def figures(self, mask: Image | None = None) -> Points:
        """Means of FIGURES over a mask, a row a volume.

        How far points moved, mm; strain away from and round the middle of the mask, in the plane of the world's
        first two axes; the least and the largest principal strain; and the volume, 1 where it is kept.

        Args:
            mask: on the first volume's lattice; what is not 0 counts. By default all does.

        Returns:
            (T, 6) float64.
        """
        kept = np.ones(self.geometry.shape, np.bool_) if mask is None else mask.values != 0
        away = lattice_points(self.geometry).numpy()
        away = away - away[kept].mean(axis=0)
        away[..., 2:] = 0
        around = np.zeros_like(away)
        around[..., 0], around[..., 1] = -away[..., 1], away[..., 0]
        return np.array([_figures(one, kept, away, around) for one in self.strains])


def follow(
    series: Series,
    transform: str = "displacement",
    similarity: str = "local_cc",
    smoothness: float = 1.0,
    told: Callable[[int, int], None] = lambda done, all_: None,
) -> Followed:
    """Each volume from where the one before was found, so that a large motion is made of small steps.

    Args:
        series: volumes over time, of one lattice.
        transform: displacement, velocity or bspline.
        similarity: as of `register`.
        smoothness: as of `register`.
        told: called after each volume with how many are done, of how many.

    Raises:
        ImageError: where the series does not fit.
        UnknownNameError: for unknown names.
    """
    one_of("strain", DEFORMABLE, transform=transform)
    first, *others = (as_plane(volume) for volume in series.volumes)
    here: Transform = Linear.identity(first.geometry.dimensions)
    transforms, doubts, notes = [here], list[str](), list[str]()
    for index, volume in enumerate(others, start=2):
        found = register(volume, first, transform, similarity, initial=here, smoothness=smoothness)
        here = sampled(found.transform, first.geometry)
        transforms.append(here)
        doubts += [f"volume {index}: {doubt}" for doubt in found.doubts]
        notes += [f"volume {index}: {note}" for note in found.notes]
        told(index - 1, len(others))
    strains = tuple(strain(one, first.geometry) for one in transforms)
    return Followed(first.geometry, tuple(transforms), strains, tuple(doubts), tuple(notes))


def _figures(
    found: Strain, kept: NDArray[np.bool_], away: NDArray[np.float64], around: NDArray[np.float64]
) -> list[float]:
    moved, principal = np.linalg.norm(found.displacement_mm, axis=-1), found.principal
    maps = (moved, found.along(away), found.along(around), principal[..., 0], principal[..., -1], found.volume_ratio)
    return [float(one[kept].mean()) for one in maps]
