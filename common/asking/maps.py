"""What a model looks at in a hospital's cases, as columns of its records: shares of a map in a grid of blocks.

A map is divided by all it holds, so that every case weighs one and adds 1 at most, whatever a model makes of it. So
noise can hide a person, and no case stands out by the size of its map.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from common.asking.records import Records
from common.errors import StudyError
from common.study.checks import between
from common.study.options import Entry
from common.study.spelling import unknown

SHARE, WITHOUT = "map_", "without_"
"""Beginnings of names: share of a case's map in a block, and whether it is answered right with the block filled."""
ANSWERED, MAPS = "answered", "maps"
"""The column that says whether a case is answered right, and the word by which a policy permits all of these."""
LEAST = 10
"""Cases of a class at a hospital, at least, of which a mean map says anything. It protects nobody: see `TELLING`."""
MOST_SIDE = 16
PARTS = ("train", "validation", "test")
TELLING = "exact sums of maps name whose they are to anybody who has the model and the images; ask with an epsilon."
"""Measured (`wardround bench explain`): of 200 images those 20 whose maps were summed are named without a mistake."""
GRAIN = 2.0**20
"""Shares are whole numbers of 1 / GRAIN: their sums are exact, whatever arithmetic did."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class MapReading:
    """Which map is read, and of whom. method: from `common/attribution/methods`. side: blocks along each of a case's
    `axes`. part: of the hospital's split.
    """

    method: Entry = field(default_factory=lambda: Entry("occlusion"))
    side: int = 7
    axes: int = 2
    part: str = "train"

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise unknown("part of maps", self.part, PARTS)
        between("maps", 1, MOST_SIDE, side=self.side)
        between("maps", 1, 3, axes=self.axes)

    @property
    def blocks(self) -> int:
        """In all."""
        return int(self.side**self.axes)


def share_name(place: int) -> str:
    """Of the block at this place, the last axis running fastest."""
    return f"{SHARE}{place:05d}"


def without_name(place: int) -> str:
    """Of the answer with this block filled."""
    return f"{WITHOUT}{place:05d}"


def is_of_maps(name: str) -> bool:
    """Whether a column is one of these."""
    return name == ANSWERED or name.startswith((SHARE, WITHOUT))


def blocks_of(records: Records, beginning: str = SHARE) -> Values:
    """(N, blocks) in order. Raises StudyError where there are none."""
    names = sorted(name for name in records.columns if name.startswith(beginning))
    if not names:
        raise StudyError(
            "there are no maps to read: the study names no model ([start] model = RUN), or the hospital does not "
            f"permit questions of {MAPS!r}."
        )
    return np.stack([records.numbers(name) for name in names], axis=1)


def shares(maps: Values, side: int) -> Values:
    """(N, side ** D) of maps (N, *S): what is in each block, of all; 0 everywhere where a map is 0 or not finite.

    Blocks are as even as they can be. An axis shorter than `side` has blocks without a pixel.
    """
    found = np.abs(maps)
    for axis in range(1, maps.ndim):
        edges = np.linspace(0, found.shape[axis], side + 1).astype(np.int64)
        pieces = [found.take(range(a, b), axis=axis).sum(axis=axis) for a, b in pairwise(edges)]
        found = np.stack(pieces, axis=axis)
    flat = found.reshape(len(maps), -1)
    total = flat.sum(axis=1, keepdims=True)
    known = np.isfinite(total) & (total > 0)
    return np.asarray(np.floor(np.divide(flat, total, out=np.zeros_like(flat), where=known) * GRAIN) / GRAIN)


def block_slices(shape: tuple[int, ...], side: int, place: int) -> tuple[slice, ...]:
    """Where the block at `place` lies in an image of `shape`, without its channels."""
    cells = np.unravel_index(place, (side,) * len(shape))
    edges = [np.linspace(0, length, side + 1).astype(np.int64) for length in shape]
    return tuple(slice(int(edge[cell]), int(edge[cell + 1])) for edge, cell in zip(edges, cells, strict=True))
