"""Scores of groups of persons as statistics that merge, and which groups are too small to be told.

A cell of fewer persons than the least leaves no hospital. All persons together do leave it, and so would the small
cell, by subtraction, if all others of its column did: the smallest of them stay too, until those left out are as many
as a cell needs, or nobody is told apart. Across columns no sum and difference of what is told, with any factors, is
of fewer persons either. Each hospital decides this alone: it rests neither on the others nor on what a sum hides.

Why that holds across columns: let a combination be v = g + f, where g has one value on each part of a column (its
told cells, and whoever is in none of them) and f is made of the columns before it, so that it has one value on each
type of persons, those who are alike in all of these. Within a type all persons of whom v says nothing have one value
of g. For each value of g the union of the parts that have it is then cut by the types into pieces of which the
smaller ones hold no more persons together than v is of. If every such union has `least` in them, or is a union of
parts of one column before, v is of `least` persons at the fewest, or made of the columns before alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError
from common.metrics.doors import as_whole
from common.metrics.intervals import PATIENTS, SPREAD
from common.metrics.maps import as_mask
from common.sums.mean import Mean, Statistics

PREFIX, PERSONS = "subgroup_", "persons"
MOST_SCORES, MOST_SUMS = 6, 720
UNIONS_AT_ONCE = 256
MOST_PERSONS = 1 << 40
_NAME = re.compile(r"subgroup_(\d+)_(\d+)_(.+)")

Masks = NDArray[np.bool_]


def scores_told(headline: str, names: Sequence[str], cells: int) -> tuple[str, ...]:
    """Which scores are told of every cell, the headline first, so that a reply stays small."""
    room = max(1, min(MOST_SCORES, MOST_SUMS // (3 * max(cells, 1))))
    first = [name for name in names if name == headline]
    return (*first, *(name for name in names if name != headline))[:room]


def names_of_cells(cells: Sequence[int], scores: Sequence[str]) -> tuple[str, ...]:
    """Names of all statistics. cells: how many each column has."""
    kinds = [PERSONS, *(prefix + name for name in scores for prefix in ("", SPREAD, PATIENTS))]
    return tuple(f"{PREFIX}{c}_{k}_{kind}" for c, count in enumerate(cells) for k in range(count) for kind in kinds)


def of_cell(column: int, cell: int, statistics: Statistics, persons: int, scores: Sequence[str]) -> dict[str, Mean]:
    """One cell's statistics by their names in a reply."""
    told = {prefix + name for name in scores for prefix in ("", SPREAD, PATIENTS)}
    one = 1 << 40
    found = {name: mean for name, mean in statistics.items() if name in told}
    return {
        f"{PREFIX}{column}_{cell}_{name}": mean
        for name, mean in {PERSONS: Mean(persons * one, persons * one), **found}.items()
    }


def cells_of(statistics: Statistics) -> Mapping[tuple[int, int], dict[str, Mean]]:
    """The statistics of every cell that somebody is in, by column and cell."""
    found: dict[tuple[int, int], dict[str, Mean]] = {}
    for name, mean in statistics.items():
        if (match := _NAME.fullmatch(name)) is not None:
            found.setdefault((int(match[1]), int(match[2])), {})[match[3]] = mean
    return {place: one for place, one in found.items() if one.get(PERSONS, Mean()).weight_units}


def opened(columns: Sequence[Masks], least: int) -> list[NDArray[np.bool_]]:
    """Which cells of each column may be told. columns: (cells, persons) of one hospital, cells of a column disjoint.

    No linear combination of what is told (all persons, and each cell) is of fewer than `least` persons. Of columns
    that would give such a one together the last loses its smallest cells.
    """
    told: list[NDArray[np.bool_]] = []
    before: list[NDArray[np.int64]] = []
    least = as_whole(least, "least", 0, MOST_PERSONS)
    for number, column in enumerate(columns):
        masks = _checked(column, number)
        kept = masks.sum(axis=1) >= least
        _hide_remainder(masks, kept, least)
        while kept.any() and _gives_away(_parts(masks, kept), before, least):
            _leave_out_smallest(masks, kept)
            _hide_remainder(masks, kept, least)
        told.append(kept)
        before.append(_parts(masks, kept))
    return told


def _checked(column: Masks, number: int) -> Masks:
    """As bool: whole numbers would choose persons by their places."""
    masks = as_mask(column, f"column {number}")
    if masks.ndim != 2:
        raise ImageError(f"column {number} must be (cells, persons); its shape is {masks.shape}.")
    return masks


def _hide_remainder(masks: Masks, kept: NDArray[np.bool_], least: int) -> None:
    """Leave out the smallest cells until those of no told cell are nobody or many."""
    while kept.any() and 0 < masks.shape[1] - int(masks[kept].sum()) < least:
        _leave_out_smallest(masks, kept)


def _leave_out_smallest(masks: Masks, kept: NDArray[np.bool_]) -> None:
    sizes = masks.sum(axis=1)
    kept[min(np.flatnonzero(kept), key=lambda cell: sizes[cell])] = False


def _parts(masks: Masks, kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(persons,) in which part each is: a told cell from 0 on, or the last, which is no cell's."""
    parts = np.full(masks.shape[1], int(kept.sum()), np.int64)
    for part, cell in enumerate(np.flatnonzero(kept)):
        parts[masks[cell]] = part
    return np.unique(parts, return_inverse=True)[1].astype(np.int64)


def _gives_away(parts: NDArray[np.int64], before: Sequence[NDArray[np.int64]], least: int) -> bool:
    """Whether parts of a column, with those of the columns before it, may tell of few persons."""
    if not before or not len(parts):
        return False
    types = np.unique(np.stack(before), axis=1, return_inverse=True)[1].reshape(-1)
    count = int(parts.max())  # the last part is outside of every union: its complement says the same
    for first in range(1, 1 << count, UNIONS_AT_ONCE):
        numbers = np.arange(first, min(first + UNIONS_AT_ONCE, 1 << count))
        unions = (numbers[:, None] >> np.arange(count + 1)) & 1
        few = _cut_off(unions, parts, types) < least
        for column in before:
            few &= _cut_off(unions, parts, column) > 0
        if few.any():
            return True
    return False


def _cut_off(unions: NDArray[np.int64], parts: NDArray[np.int64], types: NDArray[np.int64]) -> NDArray[np.float64]:
    """(unions,) persons in the smaller pieces of all types that a union cuts. unions: (unions, parts), 0 or 1."""
    counts = np.zeros((unions.shape[1], int(types.max()) + 1))
    np.add.at(counts, (parts, types), 1)
    inside = unions.astype(np.float64) @ counts
    smaller: NDArray[np.float64] = np.minimum(inside, counts.sum(axis=0) - inside).sum(axis=1)
    return smaller
