"""Motion of a series undone: each volume is brought onto the mean of all, which is sharper each time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from common.data.geometry import Points
from common.data.image import Image
from common.data.series import Series
from common.errors import ImageError
from common.registration.linear import KINDS, Linear
from common.registration.register import register
from common.registration.sampling import least_value, resample
from common.study.checks import one_of

HEAD_RADIUS_MM = 50.0
"""At which a rotation is counted as a length (Power et al. 2012)."""
MOST_ROUNDS = 20


@dataclass(frozen=True, eq=False)
class Motion:
    """series: what was corrected, float32. template: its mean. transforms: template world to each volume's, mm.

    shifts_mm: (T, D) of the middle of the image. turns_deg: (T, 3) about x, y and z, or (T, 1) in a plane. steps_mm:
    (T,) framewise displacement of Power et al. 2012, from the volume before; 0 at the first. doubts: sentences.
    """

    series: Series
    template: Image
    transforms: tuple[Linear, ...]
    shifts_mm: Points
    turns_deg: Points
    steps_mm: Points
    doubts: tuple[str, ...]


def correct_motion(
    series: Series,
    transform: str = "rigid",
    similarity: str = "auto",
    rounds: int = 2,
    seed: int = 0,
    told: Callable[[int, int], None] = lambda done, all_: None,
) -> Motion:
    """Each volume to the mean of all, then to the mean of what came out, `rounds` times.

    Args:
        series: volumes over time, of one lattice.
        transform: rigid, similarity or affine.
        similarity: as of `register`; "auto" is decided once, by the volume that is least like the mean.
        rounds: how often the mean is made anew.
        seed: of whatever is drawn.
        told: called after each volume with how many are done, of how many.

    Raises:
        ImageError: where the series does not fit.
        UnknownNameError: for unknown names.
    """
    one_of("motion", KINDS, transform=transform)
    if not 1 <= rounds <= MOST_ROUNDS:
        raise ImageError(f"motion.rounds must lie between 1 and {MOST_ROUNDS}; it is {rounds}.")
    volumes = series.volumes
    found = [Linear.identity(series.geometry.dimensions)] * len(volumes)
    corrected, doubts = [volume.values.astype(np.float32) for volume in volumes], list[str]()
    for turn in range(rounds):
        template = Image(np.mean(corrected, axis=0), series.geometry)
        similarity = _decided(volumes, template, transform, seed) if similarity == "auto" else similarity
        doubts = []
        for index, volume in enumerate(volumes):
            result = register(volume, template, transform, similarity, initial=found[index], seed=seed)
            assert isinstance(result.transform, Linear)
            found[index] = result.transform
            air = least_value(volume)
            corrected[index] = resample(volume, series.geometry, result.transform, outside=air).values
            doubts += [f"volume {index + 1}: {doubt}" for doubt in result.doubts]
            told(turn * len(volumes) + index + 1, rounds * len(volumes))
    made = np.stack(corrected)
    shifts, turns = motion_parameters(found, series.geometry.centre_mm)
    return Motion(
        Series(made, series.geometry, series.step_s), Image(made.mean(axis=0), series.geometry), tuple(found),
        shifts, turns, framewise_displacement(shifts, turns), tuple(doubts),
    )  # fmt: skip


def _decided(volumes: Sequence[Image], template: Image, transform: str, seed: int) -> str:
    """What `auto` comes to for the volume whose values follow the template's least."""
    with np.errstate(invalid="ignore"):
        like = [np.corrcoef(volume.values.ravel(), template.values.ravel())[0, 1] for volume in volumes]
    oddest = volumes[int(np.argmin(like))]
    start = Linear.identity(template.geometry.dimensions)
    return register(oddest, template, transform, initial=start, seed=seed).similarity


def motion_parameters(transforms: Sequence[Linear], centre_mm: Points) -> tuple[Points, Points]:
    """Shifts (T, D) in mm of a point, and turns in degrees: (T, 3) about fixed x, y and z; in a plane (T, 1)."""
    centre = torch.from_numpy(np.asarray(centre_mm, np.float64))
    shifts = np.stack([(one.map_points(centre) - centre).numpy() for one in transforms])
    turns = [_turns(one.matrix[:-1, :-1].numpy()) for one in transforms]
    return shifts, np.stack(turns)


def framewise_displacement(shifts_mm: Points, turns_deg: Points) -> Points:
    """(T,) sum of what all shifts, and all turns on a sphere of 50 mm, changed by (Power et al. 2012)."""
    lengths = np.concatenate([shifts_mm, np.deg2rad(turns_deg) * HEAD_RADIUS_MM], axis=1)
    return np.concatenate([[0.0], np.abs(np.diff(lengths, axis=0)).sum(axis=1)])


def _turns(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the rotation next to a matrix (polar decomposition)."""
    left, _, right = np.linalg.svd(matrix)
    rotation = left @ right
    if len(rotation) == 2:
        return np.rad2deg([np.arctan2(rotation[1, 0], rotation[0, 0])])
    return np.asarray(Rotation.from_matrix(rotation).as_euler("xyz", degrees=True))
