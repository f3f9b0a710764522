"""Rows of a table as they were written, for questions: those that are cases, in the columns that a study names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np

from client.sources._asked import NUMBER, WORDS, Kind, level_of, numbers_of
from client.sources._table_cases import Part, Plan, case_of, convention_cells
from client.sources._table_columns import Levels, Number, Reading, UnusableError, text_of
from client.sources._table_layout import refuse_absent, seems_to_name_persons
from client.sources._table_numbers import found_convention
from client.sources._table_parquet import Cell
from client.sources._table_targets import Class, Quantity, Survival
from common.asking.records import Records, Values

Read = Callable[[Sequence[Cell], Reading], Values]


def records_of_rows(parts: Sequence[Part], plan: Plan, asked: Mapping[str, Kind], site: str) -> Records:
    """The rows that `cases_of` makes cases of, in their order; a cell that its column cannot have is missing.

    asked: further columns, and what they hold. No column that names persons, consent or a split is among them.
    """
    columns = columns_of(plan, asked)
    alike: Counter[str] = Counter()
    persons: list[str] = []
    found: dict[str, list[Values]] = {name: [] for name in columns}
    for part in parts:
        refuse_absent(asked, part.table.columns, part.table.name)
        places = {column: part.table.place(column) for column in plan.columns}
        rows = []
        for row in part.rows:
            cells = {column: row.cells[place] for column, place in places.items()}
            try:
                persons.append(case_of(cells, plan, part.reading, site, alike).person)
                rows.append(row)
            except UnusableError:
                continue
        reading = _reading(part, plan, asked)
        for name, kind in columns.items():
            place = part.table.place(name)
            found[name].append(_read([row.cells[place] for row in rows], name, kind, reading))
    joined = {name: np.concatenate(values) for name, values in found.items()}
    return Records(cast(Mapping[str, Values], joined), np.array(persons, dtype=np.str_), site)


def columns_of(plan: Plan, asked: Mapping[str, Kind]) -> dict[str, Kind | Survival]:
    """What questions may read, and what each holds: learned from, to be predicted, handed on, or named for it."""
    found: dict[str, Kind | Survival] = {**dict.fromkeys(plan.keep, WORDS), **asked}
    for one in plan.features:
        found[one.column] = one.levels if isinstance(one, Levels) else NUMBER
    target = plan.target
    if isinstance(target, Class):
        found[target.column] = target.classes
    elif isinstance(target, Quantity):
        found[target.column] = NUMBER
    elif isinstance(target, Survival):
        found[target.time], found[target.event] = NUMBER, target
    withheld = {plan.person, plan.split, *plan.consent.values()}
    learned = {one.column for one in plan.features if isinstance(one, Number | Levels)} | set(target.columns)
    return {
        name: kind
        for name, kind in found.items()
        if name not in withheld and (name in learned or not seems_to_name_persons(name))
    }


def _reading(part: Part, plan: Plan, asked: Mapping[str, Kind]) -> Reading:
    """As the study's own columns are read, or as these and the asked ones show that numbers are written."""
    own, numeric = part.reading, [*plan.numeric, *(name for name, kind in asked.items() if kind == NUMBER)]
    if not part.table.delimiter or own.convention.decimal != "." or own.convention.thousands:
        return own
    convention = found_convention(convention_cells(part.table, numeric, own), part.table.delimiter, part.table.name)
    return Reading(convention, own.missing, own.missing_in, own.units, own.measured)


def _read(cells: Sequence[Cell], name: str, kind: Kind | Survival, reading: Reading) -> Values:
    if isinstance(kind, Survival):
        return numbers_of(cells, lambda cell: _or_fault(lambda: kind.event_of(cell)))
    if kind == NUMBER:
        return numbers_of(cells, lambda cell: _or_fault(lambda: _number(cell, name, reading)))
    if kind == WORDS:
        return np.array(["" if reading.is_missing(cell, name) else text_of(cell) for cell in cells], dtype=np.str_)
    return np.array([level_of(cell, kind) for cell in cells], dtype=np.str_)


def _number(cell: Cell, name: str, reading: Reading) -> float:
    if reading.is_missing(cell, name):
        raise UnusableError
    return reading.number(cell, name)


def _or_fault(read: Callable[[], float]) -> float:
    try:
        return read()
    except UnusableError as error:
        raise ValueError from error
