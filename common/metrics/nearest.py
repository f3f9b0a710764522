"""How far the nearest voxel of a set is, exactly, by looking around in rings of growing distance.

Predicted and true outlines mostly lie some voxels apart, so that few neighbours must be looked at; a distance
transform would look at every voxel of the image. Where many points find nothing near, the search goes on along
columns of voxels, and where nothing is found within `REACH` voxels a k-d tree goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError
from common.metrics._columns import search_along_columns
from common.metrics.borders import flat_border, strides
from common.metrics.doors import as_choice
from common.metrics.elements import Codes, flat_codes, is_cut
from common.metrics.maps import Mask, as_mask

Distances = NDArray[np.float64]
Outline = Literal["border", "mask", "elements"]
OUTLINES: tuple[Outline, ...] = get_args(Outline)
OTHERS_WORDS = {"voxels": "border", "voxel": "border", "surface": "border", "area": "elements", "volume": "mask"}
"""Of commands and other libraries, for an outline."""

REACH = {1: 32, 2: 12, 3: 6}
"""Voxels to each side that are looked at, by number of axes."""


def as_outline(given: object) -> Outline:
    """What an outline is. Raises UnknownNameError, naming the nearest word."""
    return cast(Outline, as_choice(given, "outline", OUTLINES, OTHERS_WORDS))


VOXELS_A_STEP = 8
"""How many voxels are prepared along columns in the time in which one place makes one step."""


@dataclass(frozen=True)
class Points:
    """Voxels of N images of one shape, in one flattened block with a margin of `reach` around every image.

    flat: (V,) bool; places: (M,) where flat is set; shape: of the block, (N, *S); codes: (M,), of elements only.
    """

    flat: Mask
    places: NDArray[np.int64]
    shape: tuple[int, ...]
    codes: Codes | None = None

    @classmethod
    def of(cls, masks: Mask, outline: Outline) -> Points:
        """Of (N, *S) masks: their border voxels, or all, or their elements, which lie half a voxel before."""
        masks, outline = np.asarray(masks), as_outline(outline)
        if masks.ndim < 2:
            raise ImageError(f"masks must be (N, *S), of one axis at least; their shape is {masks.shape}.")
        reach = REACH.get(masks.ndim - 1, 2) + (outline == "elements")
        padded = np.zeros((len(masks), *(size + 2 * reach for size in masks.shape[1:])), masks.dtype)
        padded[(slice(None), *[slice(reach, -reach)] * (masks.ndim - 1))] = masks
        padded = as_mask(padded)
        flat = padded.reshape(-1)
        if outline == "border":
            flat = flat_border(flat, strides(padded.shape)[1:])
        if outline != "elements":
            return cls(flat, np.flatnonzero(flat), padded.shape)
        codes = flat_codes(flat, strides(padded.shape)[1:])
        cut = is_cut(codes, masks.ndim - 1)
        places = np.flatnonzero(cut)
        return cls(cut, places, padded.shape, codes[places])

    def parted(self, values: Distances) -> list[Distances]:
        """(M,) values, image by image."""
        size = int(np.prod(self.shape[1:], dtype=np.int64))
        ends = np.searchsorted(self.places, np.arange(1, self.shape[0]) * size)
        return np.split(values, ends) if self.shape[0] else []


def nearest_mm(points: Points, target: Points, spacing_mm: tuple[float, ...]) -> Distances:
    """(M,) distance in mm from each of the M points to the nearest of the target's in the same image.

    Centres of voxels are meant. Infinite where an image's target is empty.
    """
    from common.metrics import _rings  # with numba, which takes a third of a second

    reach = REACH.get(len(spacing_mm), 2)
    steps, lengths_mm = _steps(target.shape[1:], spacing_mm, reach)
    to_neighbours = 2 * len(spacing_mm) + 1
    found, missing, first = np.full(len(points.places), np.nan), np.arange(len(points.places)), 0
    while len(missing) and first < len(steps):
        last = min(first + max(first, to_neighbours), len(steps))
        left = points.places[missing]
        if first and len(left) * (last - first) > len(target.flat) / VOXELS_A_STEP:
            last = len(steps)
            found[missing] = search_along_columns(target.flat, target.shape, left, spacing_mm, reach)
        else:
            found[missing] = _rings.search(target.flat, left, steps[first:last], lengths_mm[first:last])
        missing, first = missing[np.isnan(found[missing])], last
    if len(missing):
        found[missing] = _from_trees(points.places[missing], target, spacing_mm)
    return found


def _from_trees(places: NDArray[np.int64], target: Points, spacing_mm: tuple[float, ...]) -> Distances:
    from scipy.spatial import KDTree

    spacing = np.array(spacing_mm)
    asked = np.stack(np.unravel_index(places, target.shape), axis=1)
    held = np.stack(np.unravel_index(target.places, target.shape), axis=1)
    found = np.full(len(places), np.inf)
    for image in np.unique(asked[:, 0]):
        own, there = (slice(*np.searchsorted(points[:, 0], (image, image + 1))) for points in (asked, held))
        if there.start < there.stop:
            tree = KDTree(held[there, 1:] * spacing, balanced_tree=False, compact_nodes=False)
            found[own] = tree.query(asked[own, 1:] * spacing)[0]
    return found


@lru_cache(maxsize=64)
def _steps(shape: tuple[int, ...], spacing_mm: tuple[float, ...], reach: int) -> tuple[NDArray[np.int64], Distances]:
    """Steps in a flattened array of `shape`, nearest first, and their lengths in mm.

    Only steps shorter than the way out of the block of `reach` voxels: any longer one might miss a nearer voxel.
    """
    around = np.indices((2 * reach + 1,) * len(shape)).reshape(len(shape), -1).T - reach
    lengths = np.linalg.norm(around * np.array(spacing_mm), axis=1)
    kept = np.flatnonzero(lengths < (reach + 1) * min(spacing_mm))
    order = kept[np.argsort(lengths[kept], kind="stable")]
    return np.asarray(around[order] @ np.array(strides(shape)), np.int64), np.asarray(lengths[order], np.float64)
