"""How far the nearest voxel of a set is, exactly, by looking around in rings of growing distance.

Predicted and true outlines mostly lie some voxels apart, so that few neighbours must be looked at; a distance
transform would look at every voxel of the image. Where nothing is found within `REACH` voxels a k-d tree goes on.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from common.metrics import _rings
from common.metrics.borders import Mask

Distances = NDArray[np.float64]

REACH = {1: 64, 2: 16, 3: 8}
"""Voxels to each side that are looked at, by number of axes."""


def nearest_mm(points: Mask, target: Mask, spacing_mm: tuple[float, ...]) -> Distances:
    """(M,) distance in mm from each of the M voxels of `points`, in C order, to the nearest voxel of `target`.

    points, target: bool of one shape (N, *S), N images, each searched by itself; centres of voxels are meant.
    Infinite where an image's `target` is empty.
    """
    reach = REACH.get(len(spacing_mm), 2)
    padded = np.pad(target, [(0, 0), *[(reach, reach)] * len(spacing_mm)])
    steps, lengths_mm = _steps(padded.shape[1:], spacing_mm, reach)
    places = np.argwhere(points)
    margin = np.array([0, *[reach] * len(spacing_mm)])
    flat = np.ravel_multi_index(tuple((places + margin).T), padded.shape).astype(np.int64)
    found = _rings.search(padded.reshape(-1), flat, steps, lengths_mm)
    missing = np.flatnonzero(np.isnan(found))
    for image in np.unique(places[missing, 0]):
        own = missing[places[missing, 0] == image]
        found[own] = _from_tree(places[own, 1:], target[image], spacing_mm)
    return found


def _from_tree(places: NDArray[np.int64], target: Mask, spacing_mm: tuple[float, ...]) -> Distances:
    held = np.argwhere(target)
    if not len(held):
        return np.full(len(places), np.inf)
    spacing = np.array(spacing_mm)
    distances, _ = KDTree(held * spacing).query(places * spacing)
    return np.asarray(distances, np.float64)


@lru_cache(maxsize=64)
def _steps(shape: tuple[int, ...], spacing_mm: tuple[float, ...], reach: int) -> tuple[NDArray[np.int64], Distances]:
    """Steps in a flattened array of `shape`, nearest first, and their lengths in mm.

    Only steps shorter than the way out of the block of `reach` voxels: any longer one might miss a nearer voxel.
    """
    around = np.indices((2 * reach + 1,) * len(shape)).reshape(len(shape), -1).T - reach
    lengths = np.linalg.norm(around * np.array(spacing_mm), axis=1)
    kept = np.flatnonzero(lengths < (reach + 1) * min(spacing_mm))
    order = kept[np.argsort(lengths[kept], kind="stable")]
    strides = np.cumprod([1, *reversed(shape[1:])])[::-1]
    return np.asarray(around[order] @ strides, np.int64), np.asarray(lengths[order], np.float64)
