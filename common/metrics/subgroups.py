"""Scores of groups of persons as statistics that merge, and which groups are too small to be told.

A cell of fewer persons than the least leaves no hospital. All persons together do leave it, and so would the small
cell, by subtraction, if all others of its column did: the smallest of them stay too, until those left out are as many
as a cell needs, or nobody is told apart. The same holds across columns, where one cell lies within another and they
differ by few persons. Each hospital decides this alone: it rests neither on the others nor on what a sum hides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from common.metrics.intervals import PATIENTS, SPREAD
from common.sums.mean import Mean, Statistics

PREFIX, PERSONS = "subgroup_", "persons"
MOST_SCORES, MOST_SUMS = 6, 720
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


def without_cells(statistics: Statistics) -> dict[str, Mean]:
    """The statistics of all persons together."""
    return {name: mean for name, mean in statistics.items() if not name.startswith(PREFIX)}


def cells_of(statistics: Statistics) -> Mapping[tuple[int, int], dict[str, Mean]]:
    """The statistics of every cell that somebody is in, by column and cell."""
    found: dict[tuple[int, int], dict[str, Mean]] = {}
    for name, mean in statistics.items():
        if (match := _NAME.fullmatch(name)) is not None:
            found.setdefault((int(match[1]), int(match[2])), {})[match[3]] = mean
    return {place: one for place, one in found.items() if one.get(PERSONS, Mean()).weight_units}


def opened(columns: Sequence[Masks], least: int) -> list[NDArray[np.bool_]]:
    """Which cells of each column may be told. columns: (cells, persons) of one hospital, cells of a column disjoint.

    No two of what is told (all persons, each cell, and by subtraction those of a column that are in no told cell)
    lie within each other and differ by fewer than `least` persons.
    """
    told = [masks.sum(axis=1) >= least for masks in columns]
    for masks, kept in zip(columns, told, strict=True):
        _hide_remainder(masks, kept, least)
    while (found := _nearest(columns, told, least)) is not None:
        column, cell = found
        told[column][cell] = False
        _hide_remainder(columns[column], told[column], least)
    return told


def _hide_remainder(masks: Masks, kept: NDArray[np.bool_], least: int) -> None:
    """Leave out the smallest cells until those of no told cell are nobody or many."""
    sizes = masks.sum(axis=1)
    while kept.any() and 0 < masks.shape[1] - int(sizes[kept].sum()) < least:
        kept[min(np.flatnonzero(kept), key=lambda cell: sizes[cell])] = False


def _nearest(columns: Sequence[Masks], told: Sequence[NDArray[np.bool_]], least: int) -> tuple[int, int] | None:
    """A told cell to leave out: one of two sets of which one lies within the other, but for few persons."""
    cells = [(c, int(k), columns[c][k]) for c, kept in enumerate(told) for k in np.flatnonzero(kept)]
    rests = [(c, -1, ~columns[c][kept].any(axis=0)) for c, kept in enumerate(told) if kept.any()]
    for column, cell, one in cells:
        for other_column, _, other in (*cells, *rests):
            if other_column == column:
                continue
            inside = not (one & ~other).any() or not (other & ~one).any()
            if inside and 0 < int((one ^ other).sum()) < least:
                return column, cell
    return None
