"""A transform applied to what a person has: an image, a label map, points."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from common.data.geometry import Geometry, Points
from common.data.image import Image
from common.errors import ImageError
from common.registration.sampling import Sampler, lattice_points, least_value, resample
from common.registration.transform import Transform
from common.study.checks import one_of

READINGS = ("linear", "nearest", "label_linear")
LOWEST_OF_CT, AIR_OF_CT = -1024.0, -1000.0
"""In Hounsfield units: what scanners write at the least, and what air has; below is padding, such as -3024."""
WIDTH_OF_AIR = 100.0
LEAST_AIR = 0.01
"""Share of the voxels that are near air's value in a CT image."""
MOST_LABELS = 1000


def applied(
    moving: Image, lattice: Geometry, transform: Transform, reading: str = "linear", outside: float | None = None
) -> Image:
    """The moving image, or label map, on a lattice of the fixed world.

    reading: linear, of images; nearest, of labels; label_linear, of labels too: each label's share read linearly, the
    largest wins, which is smoother. outside: beyond the moving image; by default `empty_value`, of labels 0.

    Raises ImageError where dimensions differ, or labels are not whole or are too many, UnknownNameError for a word.
    """
    one_of("transform", READINGS, reading=reading)
    if reading == "linear":
        fill = empty_value(moving) if outside is None else outside
        return resample(moving, lattice, transform, outside=fill)
    labels = Image(whole(moving.values), moving.geometry)
    fill = 0.0 if outside is None else outside
    if reading == "nearest":
        return resample(labels, lattice, transform, labels=True, outside=fill)
    return _by_shares(labels, lattice, transform, fill)


def whole(values: NDArray[Any]) -> NDArray[np.int64]:
    """Label maps as int64. Raises ImageError where a value is not whole."""
    rounded = np.rint(values)
    if not np.array_equal(rounded, values):
        raise ImageError("labels must be whole numbers; read what is no label map linearly.")
    return np.asarray(rounded, np.int64)


def empty_value(image: Image) -> float:
    """What an image has where there is nothing: its least value, but air's in a CT image that is padded below."""
    least = least_value(image)
    if least >= LOWEST_OF_CT:
        return least
    near = float((np.abs(image.values - AIR_OF_CT) <= WIDTH_OF_AIR).mean())
    return AIR_OF_CT if near >= LEAST_AIR else least


def moved_points(points: ArrayLike, transform: Transform) -> Points:
    """(N, D) world points in mm, RAS, where the transform takes them. Raises ImageError for other shapes."""
    given = np.asarray(points, np.float64)
    if given.ndim != 2 or given.shape[1] != transform.dimensions or not np.isfinite(given).all():
        raise ImageError(f"points must be N x {transform.dimensions} finite numbers; they are {given.shape}.")
    with torch.no_grad():
        return np.asarray(transform.map_points(torch.from_numpy(given)).numpy())


def share_met(moving: Geometry, lattice: Geometry, transform: Transform) -> float:
    """Share of a lattice's voxels that have a counterpart in the moving image."""
    with torch.no_grad():
        places = transform.map_points(lattice_points(lattice).flatten(0, -2))
        return float(Sampler(torch.zeros(1, *moving.shape), moving).at(places)[1].double().mean())


def _by_shares(labels: Image, lattice: Geometry, transform: Transform, outside: float) -> Image:
    known = np.union1d(labels.values, [whole(np.array(outside))])
    if len(known) > MOST_LABELS:
        raise ImageError(f"{len(known)} labels are too many to be read one by one, at most {MOST_LABELS}.")
    best = np.full(lattice.shape, -1.0, np.float32)
    found = np.zeros(lattice.shape, np.int64)
    for label in known:
        one = Image((labels.values == label).astype(np.float32), labels.geometry)
        share = resample(one, lattice, transform, outside=float(label == outside)).values
        found[share > best] = label
        best = np.maximum(best, share)
    return Image(found, lattice)
