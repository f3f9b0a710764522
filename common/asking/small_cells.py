"""Counts of few persons in what is shown of an answer: held back, with what would give them away again.

*Primary*: a cell of 1 to `least` - 1. *Secondary*: further cells, few and small, until no hidden one follows from
what is still shown and the sums of rows and columns, and until those hidden together in a row or column are `least`
or more. Whether one follows is decided by elimination over all sums at once, not line by line (Cox 1980, "Suppression
methodology and statistical disclosure control").

This is for readers of pages and tables. Whoever coordinates has the sums themselves, in a run's `queries.jsonl`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.asking.answer import Answer, Cell, Figure, Series, Table
from common.asking.few_persons import few_held_back
from common.asking.small_numbers import Path, is_size, names_of, small_paths, without

SIZE, CROSS, ALL, GROUPS, COUNTS, OUTSIDE = "n", " / ", "all", "groups", "counts", ("below", "above")
BY_NAME = (GROUPS, "calibration")
"""Of an answer's numbers, by the names that rows of a table have."""
TAKEN = "confusion"
"""In an answer's numbers: classes by what they are taken for."""
WITHHELD = "withheld"
"""In an answer's numbers: how many cells, or groups, are held back."""
MOST_TRIED = 400
"""Cells that are tried for being hidden as well, each time."""

Counts = NDArray[np.int64]
Hidden = NDArray[np.bool_]


def hidden_cells(counts: Counts, least: int) -> Hidden:
    """Which cells of a list or a table are held back where its sums are shown: of rows, of columns, and of all."""
    table = np.atleast_2d(counts)
    hidden = (table > 0) & (table < least)
    while (cell := _given_away(table, hidden, least)) is not None:
        hidden[cell] = True
    return hidden.reshape(counts.shape)


def held_back(answer: Answer, least: int) -> Answer:
    """What may be shown of an answer. least: fewest rows of a cell; up to 1 everything is shown.

    Tables and figures that say of how many persons their cells are are done by these (`few_persons`). Others are
    known by their form: a column `n` has the sizes of its rows; one whose corner is "rows / columns" has counts, with
    their sums at the end.
    """
    size = answer.numbers.get(SIZE)
    if least <= 1:
        return answer
    if isinstance(size, int) and 0 < size < least:
        return Answer({WITHHELD: 1}, words=(f"The question is of fewer than {least} rows: nothing of it is shown.",))
    plan = _Plan.of(answer, least)
    answer, few = few_held_back(answer, least)
    answer = replace(answer, numbers=_crossed_held_back(answer.numbers, least))
    if not plan.count:
        return replace(answer, numbers={**answer.numbers, WITHHELD: few}) if few else answer
    said = f"{plan.count} cells of fewer than {least} rows, or that would give such a one away, are not shown."
    words = tuple(one for one in answer.words if not plan.tells(one))
    numbers = _numbers(answer.numbers, plan, least)
    tables = tuple(_table(one, plan, said) for one in answer.tables)
    figures = tuple(map(plan.figure, answer.figures))
    return Answer({**numbers, WITHHELD: plan.count + few}, tables, figures, (*words, said))


@dataclass(frozen=True)
class _Plan:
    """names: of rows that are hidden. cells: of cross tables that are, by the table's header. paths: of numbers."""

    names: frozenset[str]
    cells: Mapping[tuple[str, ...], Hidden]
    paths: frozenset[Path]

    @classmethod
    def of(cls, answer: Answer, least: int) -> _Plan:
        names: set[str] = set()
        cells: dict[tuple[str, ...], Hidden] = {}
        for table in answer.tables:
            for place in (at for at, header in enumerate(table.header) if is_size(header)):
                sizes = _ints(row[place] for row in table.rows)
                names |= {str(row[0]) for row, gone in zip(table.rows, _chosen(sizes, least), strict=True) if gone}
            if _is_crossed(table) and table.header not in cells and _is_whole(table):
                rows = [row for row in table.rows if row[0] != ALL]
                inner = hidden_cells(np.array([_ints(row[1:-1]) for row in rows]), least)
                below = [_chosen(_ints(row[1:-1]), least) for row in table.rows if row[0] == ALL]
                cells[table.header] = np.vstack([inner, *below])
                beside = _chosen(_ints(row[-1] for row in rows), least)
                names |= {str(row[0]) for row, gone in zip(rows, beside, strict=True) if gone}
        paths = small_paths(answer.numbers, lambda sizes: _chosen(np.array(sizes), least).tolist())
        return cls(frozenset(names), cells, frozenset(paths))

    @property
    def count(self) -> int:
        groups = {frozenset([name]) for name in self.names} | self.groups
        return len(groups) + sum(int(one.sum()) for one in self.cells.values())

    @property
    def groups(self) -> set[frozenset[str]]:
        """Names of groups whose numbers are hidden, each with the names of what they are in."""
        return {names for path in self.paths if (names := names_of(path))}

    def tells(self, word: str) -> bool:
        """Whether a sentence is of a hidden group: "sex f: ..."."""
        return any(f" {name}:" in f" {word}" or f" {name} has" in word for name in self.alone)

    @property
    def alone(self) -> frozenset[str]:
        """Names that say by themselves which group is hidden."""
        return self.names.union(*(names for names in self.groups if len(names) == 1))

    def row(self, row: tuple[Cell, ...]) -> tuple[Cell, ...]:
        """Of a hidden group, nothing beyond its name."""
        if str(row[0]) in self.names:
            return (row[0], *[None] * (len(row) - 1))
        for names in self.groups:
            places = [at for at, one in enumerate(row) if isinstance(one, str) and one in names]
            if names <= {one for one in row if isinstance(one, str)} and places:
                return (*row[: places[-1] + 1], *[None] * (len(row) - places[-1] - 1))
        return row

    def figure(self, figure: Figure) -> Figure:
        return replace(figure, series=tuple(self._series(one) for one in figure.series if not self._is_of(one)))

    def _is_of(self, series: Series) -> bool:
        return series.name in self.alone or any(series.name.startswith(f"{name}: ") for name in self.alone)

    def _series(self, series: Series) -> Series:
        hidden = [str(x) in self.alone for x in series.x]

        def kept(values: Sequence[float | None]) -> tuple[float | None, ...]:
            return (
                tuple(None if gone else value for value, gone in zip(values, hidden, strict=True)) if values else ()
            )

        return replace(series, y=kept(series.y), low=kept(series.low), high=kept(series.high))


def _chosen(sizes: Counts, least: int) -> Hidden:
    return hidden_cells(sizes, least) if len(sizes) > 1 else (sizes > 0) & (sizes < least)


def _table(table: Table, plan: _Plan, said: str) -> Table:
    if table.header in plan.cells:
        rows = tuple(_crossed_row(row, plan.cells[table.header], index) for index, row in enumerate(table.rows))
        rows = tuple(map(plan.row, rows))
    else:
        rows = tuple(_beside(plan.row(row), table.header, plan) for row in table.rows)
    return table if rows == table.rows else replace(table, rows=rows, note=f"{table.note} {said}".strip())


def _beside(row: tuple[Cell, ...], header: tuple[str, ...], plan: _Plan) -> tuple[Cell, ...]:
    """Without cells whose row and header together name a hidden group, as where groups stand side by side."""
    said = {cell for cell in row if isinstance(cell, str)}
    gone = [any(name in names and names <= {*said, name} for names in plan.groups) for name in header]
    return tuple(_without(row, gone)) if any(gone) else row


def _crossed_row(row: tuple[Cell, ...], hidden: Hidden, index: int) -> tuple[Cell, ...]:
    if index >= len(hidden):
        return row
    inner = [None if gone else value for value, gone in zip(row[1:-1], hidden[index], strict=True)]
    return (row[0], *inner, row[-1])


def _numbers(numbers: Mapping[str, Any], plan: _Plan, least: int) -> dict[str, Any]:
    """Groups by name; lists and tables of counts in the same way as tables hide them."""
    found = without(numbers, plan.paths)
    for key in BY_NAME:
        if isinstance(found.get(key), Mapping):
            found[key] = {name: None if name in plan.names else own for name, own in found[key].items()}
    if COUNTS in found:
        given, outside = np.array(found[COUNTS]), [name for name in OUTSIDE if name in found]
        if given.ndim == 1 and len(given):
            hidden = hidden_cells(_ints([*found[COUNTS], *(found[name] for name in outside)]), least)
            found |= {name: None for name, gone in zip(outside, hidden[len(given) :], strict=True) if gone}
            found[COUNTS] = _without(found[COUNTS], hidden[: len(given)])
        elif given.ndim == 2:
            hidden = hidden_cells(given.astype(np.int64), least)
            found[COUNTS] = [_without(row, gone) for row, gone in zip(found[COUNTS], hidden.tolist(), strict=True)]
    return found


def _crossed_held_back(numbers: Mapping[str, Any], least: int) -> dict[str, Any]:
    """Who is taken for whom, without small cells; of groups beside one another all or none, since all add up."""
    found = {
        name: _crossed_held_back(one, least) if isinstance(one, Mapping) else one for name, one in numbers.items()
    }
    given = found.get(TAKEN)
    if isinstance(given, list) and all(type(cell) is int for row in given for cell in row):
        hidden = hidden_cells(np.array(given, np.int64), least)
        found[TAKEN] = [_without(row, gone) for row, gone in zip(given, hidden.tolist(), strict=True)]
    groups = [name for name, one in found.items() if isinstance(one, Mapping) and TAKEN in one]
    if any(None in row for name in groups for row in found[name][TAKEN] or ()):
        found |= {name: {**found[name], TAKEN: None} for name in groups}
    return found


def _without(values: Iterable[Any], hidden: Iterable[Any]) -> list[Any]:
    return [None if gone else value for value, gone in zip(values, hidden, strict=True)]


def _is_crossed(table: Table) -> bool:
    return CROSS in table.header[0] and table.header[-1] == ALL


def _is_whole(table: Table) -> bool:
    return all(isinstance(cell, int) for row in table.rows for cell in row[1:])


def _ints(cells: Iterable[Cell]) -> Counts:
    return np.array([cell if isinstance(cell, int) else 0 for cell in cells], dtype=np.int64)


def _given_away(table: Counts, hidden: Hidden, least: int) -> tuple[int, int] | None:
    """The next cell that must be hidden as well; None where what is hidden stays so, or no cell is left."""
    if not hidden.any():
        return None
    for line in _lines(table.shape):
        inside = line & hidden
        if inside.any() and table[inside].sum() < least and (found := _smallest(table, line & ~hidden)):
            return found
    followed = len(_followed(hidden))
    return _closing(table, hidden, followed) if followed else None


def _closing(table: Counts, hidden: Hidden, followed: int) -> tuple[int, int] | None:
    """The cell that leaves fewest to be worked out, the smallest of these."""
    found: list[tuple[int, bool, int, tuple[int, int]]] = []
    for row, column in np.argwhere(~hidden)[:MOST_TRIED].tolist():
        after = hidden.copy()
        after[row, column] = True
        count = int(table[row, column])
        found.append((len(_followed(after)) - followed, count == 0, count, (row, column)))
    return min(found)[-1] if found else None


def _lines(shape: tuple[int, ...]) -> Iterable[Hidden]:
    """Rows and columns as masks; of a list, all of it."""
    rows, columns = np.indices(shape)
    yield from (rows == index for index in range(shape[0]))
    if shape[0] > 1:
        yield from (columns == index for index in range(shape[1]))


def _smallest(table: Counts, among: Hidden) -> tuple[int, int] | None:
    """Cells of nobody last: everybody guesses that there is nobody in them."""
    places = [(int(row), int(column)) for row, column in np.argwhere(among)]
    return min(places, key=lambda place: (table[place] == 0, table[place], place), default=None)


def _followed(hidden: Hidden) -> list[tuple[int, int]]:
    """Hidden cells whose values follow from the sums of their rows and columns."""
    places = np.argwhere(hidden)
    equations = np.array([line[hidden] for line in _lines(hidden.shape)], dtype=np.float64)
    fitted = np.linalg.lstsq(equations.T, np.eye(len(places)), rcond=None)[0]
    exact = np.atleast_1d(np.isclose(equations.T @ fitted, np.eye(len(places)), atol=1e-9).all(axis=0))
    return [(int(row), int(column)) for (row, column), is_known in zip(places, exact, strict=True) if is_known]
