"""The search of `nearest` where points lie far apart: along one axis first, then by steps across it.

How far the next voxel of the target lies along an axis is worked out for the whole block, plane by plane. Then a step
across that axis looks at a whole column of voxels at once, so that the steps are those of a disc and not of a ball.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from common.metrics.borders import strides

Columns = NDArray[np.uint8]
Places = NDArray[np.int64]
Lengths = NDArray[np.float64]

FARTHER = 2
"""With a reach of 32 voxels or less, distances along columns fit into a byte."""
PARTS_OF_MM, LARGEST_MM = 64, 1024
"""Sides that are whole numbers of 1/64 mm: squares of a thousand of them take less than the 53 bits of a float."""
STEPS_A_LOOK = 8
"""After so many steps, points that cannot find a nearer voxel are put aside."""


def search_along_columns(
    target: NDArray[np.bool_], shape: tuple[int, ...], places: Places, spacing_mm: tuple[float, ...], reach: int
) -> Lengths:
    """(M,) distance from each place to the nearest voxel of the target; NaN where it is not below (reach + 1) * side.

    target: (V,) bool, a block of `shape`, (N, *S), flattened, with a margin of `reach`; side: the smallest of the
    spacing. Lengths are those of a search by all steps in order of length, to the last bit. Where they are exact,
    and so the same in whatever way they are found, the search goes on to FARTHER times the reach.
    """
    block, axis = target.reshape(shape), int(np.argmin(spacing_mm))
    if is_exact(spacing_mm):
        block, places = _with_margin(block, places, (FARTHER - 1) * reach)
        shape, reach = block.shape, FARTHER * reach
    columns = _along(block, axis + 1, reach)
    steps, lengths = _across(shape[1:], spacing_mm, axis, reach)
    found, waiting, at = np.full(len(places), np.inf), np.arange(len(places)), places
    best = found.copy()
    for number, (step, row) in enumerate(zip(steps.tolist(), lengths, strict=True)):
        if number % STEPS_A_LOOK == 1:
            unsure = best > row[0]
            found[waiting] = best
            waiting, at, best = waiting[unsure], at[unsure], best[unsure]
            if not len(at):
                break
        np.minimum(best, row.take(columns.take(at + step)), out=best)
    found[waiting] = best
    found[found >= (reach + 1) * min(spacing_mm)] = np.nan
    return found


def _with_margin(block: NDArray[np.bool_], places: Places, more: int) -> tuple[NDArray[np.bool_], Places]:
    """The block with so many empty voxels around every image, and where the places are in it."""
    wider = np.zeros((len(block), *(size + 2 * more for size in block.shape[1:])), np.bool_)
    wider[(slice(None), *[slice(more, size + more) for size in block.shape[1:]])] = block
    at = np.unravel_index(places, block.shape)
    return wider, np.ravel_multi_index((at[0], *(along + more for along in at[1:])), wider.shape)


def is_exact(spacing_mm: tuple[float, ...]) -> bool:
    """Whether lengths of steps come out the same in any order of computing: their squares are exact."""
    return all(side <= LARGEST_MM and (side * PARTS_OF_MM).is_integer() for side in spacing_mm)


def _along(block: NDArray[np.bool_], axis: int, reach: int) -> Columns:
    """(V,) voxels to the nearest one of the target along the axis; reach + 1 where it is farther."""
    distance = np.where(block, np.uint8(0), np.uint8(reach + 1))
    planes = np.moveaxis(distance, axis, 0)
    for order in (planes, planes[::-1]):
        for before, here in pairwise(order):
            np.minimum(here, before + np.uint8(1), out=here)
    return distance.reshape(-1)


@lru_cache(maxsize=64)
def _across(shape: tuple[int, ...], spacing_mm: tuple[float, ...], axis: int, reach: int) -> tuple[Places, Lengths]:
    """(S,) steps across the axis, nearest first, and (S, reach + 2) lengths with 0, 1, ... voxels along it."""
    sides = [1 if own == axis else 2 * reach + 1 for own in range(len(shape))]
    around = np.indices(sides).reshape(len(shape), -1).T - [0 if own == axis else reach for own in range(len(shape))]
    points = np.repeat(around[:, None], reach + 2, axis=1)
    points[:, :, axis] = np.arange(reach + 2)
    lengths = np.linalg.norm(points.reshape(-1, len(shape)) * np.array(spacing_mm), axis=1).reshape(-1, reach + 2)
    lengths[:, -1] = np.inf
    kept = np.flatnonzero(lengths[:, 0] < (reach + 1) * min(spacing_mm))
    order = kept[np.argsort(lengths[kept, 0], kind="stable")]
    return np.asarray(around[order] @ np.array(strides(shape)), np.int64), lengths[order]
