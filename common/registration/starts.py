"""Where a linear search may begin: centres upon centres, and turned."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.spatial.transform import Rotation

from common.data.geometry import Matrix, Points
from common.data.image import Image
from common.registration.linear import Linear
from common.registration.objective import Pair

ROTATIONS_OF_A_CUBE = 24


def candidates(pair: Pair, starts: int, rng: np.random.Generator) -> Iterator[Linear]:
    """As they lie, middle upon middle, and mass upon mass, each turned by `starts` rotations, the first of none."""
    fixed, moving = pair.fixed.geometry.centre_mm, pair.moving.geometry.centre_mm
    shifts = [(fixed, fixed), (fixed, moving), (mass_mm(pair.fixed), mass_mm(pair.moving))]
    for here, there in shifts:
        for rotation in rotations(len(fixed), starts, rng):
            yield Linear.of(rotation, there - here, centre_mm=here)


def rotations(dimensions: int, count: int, rng: np.random.Generator) -> list[Matrix]:
    """(D, D) each: evenly about the circle; in 3D those of a cube, smallest first, then drawn evenly."""
    if dimensions == 2:
        return [Rotation.from_euler("z", 2 * np.pi * turn / count).as_matrix()[:2, :2] for turn in range(count)]
    cube = sorted(Rotation.create_group("O"), key=lambda rotation: float(rotation.magnitude()))
    drawn = max(0, count - ROTATIONS_OF_A_CUBE)
    more = [Rotation.from_quat(rng.normal(size=4)) for _ in range(drawn)]
    return [np.asarray(rotation.as_matrix()) for rotation in [*cube, *more][:count]]


def mass_mm(image: Image) -> Points:
    """Centre of what is brighter than the image's darkest value; the middle where nothing is."""
    mass = image.values - image.values.min()
    total = float(mass.sum())
    if total <= 0:
        return image.geometry.centre_mm
    axes = range(mass.ndim)
    along = [mass.sum(axis=tuple(other for other in axes if other != axis)) for axis in axes]
    return image.geometry.voxel_to_world([float(line @ np.arange(len(line))) / total for line in along])
