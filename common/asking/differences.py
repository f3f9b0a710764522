"""What exact answers tell together: sets of rows that nobody asked for, and whose sums follow from those that were.

Every table is of some sets of rows, its cells. A sum over any other set follows where the set is a combination of
cells: `mean chol` and `mean chol where age >= 60` together tell the mean of everybody else, and Denning's trackers
(1979, "The tracker: a threat to statistical database security") are longer chains of the kind. Conditions are looked
at as sets over the words and intervals that they name, never over patients, so that what is found tells nothing of
anybody: a hospital that refuses on these grounds would do so whoever its patients were.

Looked for are: every region that all cells together cut out, by elimination (its indicator is in the span of the
cells' indicators); every cell within another one, and what is left; and whatever elimination leaves as a set. Each
must be one that a table names, or several of them together: then whoever approves the tables has seen it. Groups that
an analysis makes by itself, as of a t-test, a cross table or a regression, are looked at one column at a time and two
together, as far as that is not too much. Longer chains that give only sets of several regions are not looked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations, pairwise
from math import inf, prod

import numpy as np
from numpy.typing import NDArray

from common.asking.abilities import SITE
from common.asking.predicates import Beyond, Joined, Missing, OneOf, Predicate, as_number, joined, tests_of
from common.errors import StudyError
from common.learning.label_draw import LabelDraw

PRIME = 2**31 - 1
"""Elimination is done modulo it: of sets that do not follow, one in two thousand million may seem to."""
MOST_ATOMS, MOST_CELLS = 1 << 12, 256
SHOWN = 3
"""Conditions that name a set, on either side."""

Levels = Mapping[str, tuple[str, ...]]
Sets = NDArray[np.bool_]
"""(cells, atoms)."""


@dataclass(frozen=True)
class ExactTable:
    """Sums that are told as they are, of the rows that meet `where`, in every group of `by` ("": all together).

    name: as people write it. by: as a `Question` has it. also: columns in whose groups the analysis itself adds up,
    with the words of each: of two of them, as in a cross table or a regression, also together. label_draw: of whose
    labels alone it is, where not of all (`common.asking.label_shares`).
    """

    name: str
    where: Predicate
    by: str = ""
    also: tuple[tuple[str, tuple[str, ...]], ...] = ()
    label_draw: LabelDraw | None = None

    def cells(self, levels: Levels, together: int = 0) -> tuple[Predicate, ...]:
        """The sets of rows that it is of; of a grouped one also whoever is in no group. A hospital is one site.

        together: of how many of `also` groups are looked at together; 0: of none.
        """
        found: dict[str, Predicate] = {}
        for count in range(min(together, len(self.also)) + 1):
            for chosen in combinations(self.also, count):
                cells = _product(self.where, (*self.groups(levels), *chosen))
                found |= {cell.text: cell for cell in cells}
        return tuple(found.values())

    def groups(self, levels: Levels) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The columns that it is grouped by, but for the hospital, each with its words."""
        found = []
        for one in filter(None, (part.strip() for part in self.by.split(","))):
            column, named, words = (part.strip() for part in one.partition("="))
            own = tuple(word.strip() for word in words.split("|") if word.strip())
            if column != SITE:
                found.append((column, own if named else tuple(levels.get(column, ()))))
        return tuple(found)


def _product(where: Predicate, groups: Iterable[tuple[str, tuple[str, ...]]]) -> list[Predicate]:
    found = [where]
    for column, words in groups:
        inside: list[Predicate] = [OneOf(column, (word,)) for word in words]
        outside = [joined("and", [one.turned for one in inside])] if inside else []
        nobody = joined("or", [Missing(column), *outside])
        found = [joined("and", [cell, one]) for cell in found for one in (*inside, nobody)]
    return found


@dataclass(frozen=True)
class Derived:
    """A set of rows that no table is of, and whose sums follow. rows: in words."""

    rows: str


def undeclared(tables: Iterable[ExactTable], levels: Levels) -> tuple[Derived, ...]:
    """Sets that tables together tell of, and none of them names; () where there are none.

    levels: words that columns may hold, where the study says. Raises StudyError for too many to be checked.
    """
    cells, atoms = _as_fine_as_can_be(tuple(tables), levels)
    regions, _ = _regions(atoms)
    found: dict[bytes, str] = {}
    for region in _followed(regions):
        if not _is_union(region, regions):
            found.setdefault(region.tobytes(), _words(region, regions, cells))
    return tuple(Derived(words) for words in found.values())


def _as_fine_as_can_be(tables: Sequence[ExactTable], levels: Levels) -> tuple[tuple[Predicate, ...], Sets]:
    """Cells of all tables, with the groups that analyses make by themselves as far as these are few enough."""
    for together in (2, 1, 0):
        cells = tuple({cell.text: cell for one in tables for cell in one.cells(levels, together)}.values())
        try:
            if len(cells) <= MOST_CELLS:
                return cells, sets_of(cells, levels)
        except StudyError:
            if not together:
                raise
    raise StudyError(f"tables of {len(cells)} cells are too many to be checked together; {MOST_CELLS} can be.")


def same_rows(one: Predicate, other: Predicate, levels: Levels) -> bool:
    """Whether two conditions are met by the same rows, whatever the rows are."""
    first, second = sets_of((one, other), levels)
    return bool((first == second).all())


def sets_of(cells: Sequence[Predicate], levels: Levels) -> Sets:
    """Every condition over all combinations of what the conditions tell apart. Raises StudyError for too many."""
    tests = [test for cell in cells for test in tests_of(cell)]
    pieces = {column: _pieces(column, tests, levels) for column in sorted({test.column for test in tests})}
    if prod(map(len, pieces.values())) > MOST_ATOMS:
        raise StudyError(
            f"conditions on {', '.join(pieces)} tell too many sets of rows apart to be checked: name fewer columns, "
            "or fewer bounds."
        )
    shape = tuple(map(len, pieces.values()))
    axes = {column: axis for axis, column in enumerate(pieces)}
    return np.stack([np.broadcast_to(_over(cell, pieces, axes), shape).ravel() for cell in cells])


@dataclass(frozen=True)
class _Piece:
    """Values of a column that no test tells apart: missing, one word, other words, one number, or those between."""

    word: str | None = None
    value: float | None = None
    is_missing: bool = False

    def meets(self, test: Beyond | OneOf | Missing) -> bool:
        if isinstance(test, Missing):
            return self.is_missing == test.among
        if self.is_missing:
            return False
        if isinstance(test, Beyond):
            return self.value is not None and bool(test.holds(np.array([self.value]))[0])
        if self.value is not None:
            return (self.value in (test.numbers or ())) == test.among
        return (self.word in test.values) == test.among


def _pieces(column: str, tests: Iterable[Beyond | OneOf | Missing], levels: Levels) -> list[_Piece]:
    own = [test for test in tests if test.column == column]
    bounds = {test.bound for test in own if isinstance(test, Beyond)}
    named = {word for test in own if isinstance(test, OneOf) for word in test.values}
    numbers = {value for word in named if (value := as_number(word)) is not None}
    if bounds or (column not in levels and named and len(numbers) == len(named)):
        return [*(_Piece(value=value) for value in _representatives(bounds | numbers)), _Piece(is_missing=True)]
    words = levels.get(column, tuple(sorted(named)))
    others = [] if column in levels else [_Piece()]
    return [*map(_Piece, words), *others, _Piece(is_missing=True)]


def _representatives(points: set[float]) -> Iterator[float]:
    """Every point, and one number of each interval between, before and after."""
    ordered = [-inf, *sorted(points), inf]
    for low, high in pairwise(ordered):
        if high < inf:
            yield high
        if low == -inf or high == inf:
            yield (high - 1 - abs(high)) if low == -inf else (low + 1 + abs(low))
        elif low < (middle := low / 2 + high / 2) < high:
            yield middle


def _over(cell: Predicate, pieces: Mapping[str, list[_Piece]], axes: Mapping[str, int]) -> Sets:
    if not isinstance(cell, Joined):
        met = np.array([piece.meets(cell) for piece in pieces[cell.column]], dtype=np.bool_)
        shape = [1] * len(axes)
        shape[axes[cell.column]] = len(met)
        return met.reshape(shape)
    combine = np.logical_and if cell.how == "and" else np.logical_or
    return reduce(combine, [_over(part, pieces, axes) for part in cell.parts], np.array(cell.how == "and"))


def _regions(atoms: Sets) -> tuple[Sets, int]:
    """(cells, regions): atoms that every cell has all of or none of are one; without what is in no cell."""
    if not atoms.size:
        return atoms, 0
    unique = np.unique(atoms, axis=1)
    kept = unique[:, unique.any(axis=0)]
    return kept, kept.shape[1]


def _followed(regions: Sets) -> Iterator[Sets]:
    """Sets, as (regions,) masks, whose sums follow from those of the cells."""
    reduced = _eliminated(regions)
    for row in reduced:
        if np.isin(row, (0, 1)).all() and row.any():
            yield row.astype(np.bool_)
    for outer in regions:
        for inner in regions:
            if (inner <= outer).all() and (inner != outer).any() and inner.any():
                yield outer & ~inner


def _is_union(found: Sets, regions: Sets) -> bool:
    inside = regions[(regions <= found).all(axis=1)]
    return bool((inside.any(axis=0) == found).all()) if len(inside) else False


def _words(found: Sets, regions: Sets, cells: Sequence[Predicate]) -> str:
    """By the cells that it lies in, and those that it lies beside."""
    around = [index for index, cell in enumerate(regions) if (found <= cell).all()]
    smallest = min((regions[index] for index in around), key=lambda cell: int(cell.sum()), default=~found | found)
    within = [cells[index].text for index in around]
    beside = [
        cells[index].text
        for index, cell in enumerate(regions)
        if (cell & smallest).any() and not (cell & found).any()
    ]
    named = " and ".join(f"({text})" if " or " in text else text for text in filter(None, within[:SHOWN]))
    whole = f"rows with {named}" if named else "all rows"
    return f"{whole} but those with {' or with '.join(beside[:SHOWN])}" if beside else whole


def _eliminated(regions: Sets) -> NDArray[np.int64]:
    """Reduced row echelon form modulo PRIME, without rows of zeros."""
    rows = regions.astype(np.int64)
    done = 0
    for column in range(rows.shape[1] if rows.size else 0):
        pivots = np.flatnonzero(rows[done:, column])
        if not len(pivots):
            continue
        rows[[done, done + pivots[0]]] = rows[[done + pivots[0], done]]
        rows[done] = rows[done] * pow(int(rows[done, column]), -1, PRIME) % PRIME
        factors = rows[:, column].copy()
        factors[done] = 0
        rows = (rows - factors[:, None] * rows[done] % PRIME) % PRIME
        done += 1
        if done == len(rows):
            break
    return rows[:done]
