"""Rows of one hospital as cases: every row is a case, or is quarantined with its file, line and reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from client.consent import statements
from client.sources._persons import NOBODY, person_named, refuse_doubtful
from client.sources._splits import SPLIT_WORDS
from client.sources._table_columns import Feature, Number, Reading, UnusableError, text_of
from client.sources._table_faults import faults_by_column
from client.sources._table_files import Row, Rows
from client.sources._table_numbers import found_convention
from client.sources._table_parquet import Cell
from client.sources._table_targets import Quantity, Survival, Target
from common.data.cases import Cases, Quarantined
from common.errors import SourceError

DIGITS_OF_NAME = 16
REASONS_SHOWN, COLUMNS_SHOWN = 3, 8


@dataclass(frozen=True)
class Plan:
    """What is read from every row. person, split: columns, "" for none. consent: of each table, likewise.

    keep: columns that cases hand on as they are written, whether or not they are learned from.
    """

    features: tuple[Feature, ...]
    target: Target
    person: str
    split: str
    consent: Mapping[str, str] = field(default_factory=dict)
    keep: tuple[str, ...] = ()

    @property
    def numeric(self) -> tuple[str, ...]:
        """Columns whose cells must be numbers."""
        target = self.target
        of_target = (target.column,) if isinstance(target, Quantity) else ()
        of_time = (target.time,) if isinstance(target, Survival) else ()
        return (*(one.column for one in self.features if isinstance(one, Number)), *of_target, *of_time)

    @property
    def numbers(self) -> list[int]:
        """Which columns of the inputs are numbers that have no public scale."""
        of_inputs = [(one, place) for one in self.features for place in range(len(one.names))]
        return [
            index
            for index, (one, place) in enumerate(of_inputs)
            if isinstance(one, Number) and one.scale is None and place == 0
        ]

    @property
    def columns(self) -> tuple[str, ...]:
        """All that a table must have."""
        named = (one.column for one in self.features)
        return tuple(column for column in (*named, *self.target.columns, self.person, self.split) if column)


@dataclass(frozen=True)
class Part:
    """The rows of a table that are a hospital's, and how their cells are read."""

    table: Rows
    rows: Sequence[Row]
    broken: Sequence[Row]
    reading: Reading


@dataclass(frozen=True)
class One:
    """A usable row."""

    inputs: tuple[float, ...]
    target: tuple[float, ...]
    person: str
    split: str


def convention_cells(rows: Rows, columns: Iterable[str], reading: Reading) -> list[tuple[int, str, str]]:
    """(line, column, text) of the cells by which it is found out how a file writes numbers."""
    places = [(column, rows.place(column)) for column in columns]
    return [
        (row.line, column, cell.removesuffix(reading.units.get(column, "")).strip())
        for row in rows.rows
        for column, place in places
        if isinstance(cell := row.cells[place], str) and not reading.is_missing(cell, column)
    ]


def found_reading(rows: Rows, plan: Plan, reading: Reading) -> Reading:
    """`reading` with the convention that the file's numbers show."""
    cells = convention_cells(rows, plan.numeric, reading)
    convention = found_convention(cells, rows.delimiter, rows.name)
    return Reading(convention, reading.missing, reading.missing_in, reading.units, reading.measured)


def cases_of(parts: Sequence[Part], plan: Plan, site: str, strict: bool) -> Cases:
    """Cases of one hospital's rows, in the order of its files. strict: a row that cannot be used ends it.

    Raises SourceError where no row can be used.
    """
    usable: list[One] = []
    quarantined: list[Quarantined] = []
    alike: Counter[str] = Counter()
    said: list[tuple[str, str]] = []
    kept: list[list[str]] = []
    for part in parts:
        table, consent = part.table, plan.consent.get(part.table.name, "")
        places = {column: table.place(column) for column in plan.columns}
        quarantined += [_of_other_length(row, table) for row in part.broken]
        for row in part.rows:
            cells = {column: row.cells[place] for column, place in places.items()}
            cell = text_of(row.cells[table.place(consent)]) if consent else ""
            try:
                usable.append(case_of(cells, plan, part.reading, site, alike))
                said.append((usable[-1].person, cell))
                kept.append([text_of(row.cells[table.place(column)]) for column in plan.keep])
            except UnusableError as error:
                quarantined.append(Quarantined(f"{table.name} line {row.line}", str(error)))
                if plan.person:
                    said.append((person_named(text_of(cells[plan.person])), cell))
    if quarantined and (strict or not usable):
        by_column = [] if usable else _faults(parts, plan)
        raise SourceError(_told(quarantined, site, strict, by_column))
    if not usable:
        raise SourceError(f"{site or 'the table'} has no row: a line a case is needed below the header.")
    if plan.person:
        refuse_doubtful((one.person for one in usable), parts[0].table.name)
    cases = _joined(usable, plan, tuple(quarantined), statements(said) if any(plan.consent.values()) else {})
    return cases.with_columns(**{one: np.array([row[k] for row in kept]) for k, one in enumerate(plan.keep)})


def _of_other_length(row: Row, table: Rows) -> Quarantined:
    reason = f"it has {len(row.cells)} cells, and the header {len(table.columns)}; is a {table.delimiter!r} unquoted?"
    return Quarantined(f"{table.name} line {row.line}", reason)


def _faults(parts: Sequence[Part], plan: Plan) -> list[str]:
    rows = [
        ([row.cells[part.table.place(one.column)] for one in plan.features], part.reading)
        for part in parts
        for row in part.rows
    ]
    return faults_by_column(rows, plan.features)


def _told(quarantined: Sequence[Quarantined], site: str, strict: bool, by_column: Sequence[str]) -> str:
    if by_column:
        shown = "; ".join(by_column[:COLUMNS_SHOWN])
        more = f"; and {len(by_column) - COLUMNS_SHOWN} columns more" if len(by_column) > COLUMNS_SHOWN else ""
        return f"{site or 'the table'}: none of {len(quarantined)} rows can be used. {_capital(shown)}{more}."
    reasons = Counter(one.reason for one in quarantined)
    first = {reason: next(one.name for one in quarantined if one.reason == reason) for reason in reasons}
    shown = "; ".join(f"{first[reason]}: {reason}" for reason, _ in reasons.most_common(REASONS_SHOWN))
    what = f"{len(quarantined)} rows cannot be used" if strict else f"none of {len(quarantined)} rows can be used"
    return f"{site or 'the table'}: {what}. {shown}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def case_of(cells: Mapping[str, Cell], plan: Plan, reading: Reading, site: str, alike: Counter[str]) -> One:
    """A row as a case; alike: how many rows without a name were the same so far. Raises UnusableError."""
    inputs = inputs_of(cells, plan.features, reading)
    target = plan.target.value(cells, reading)
    split = _split(cells[plan.split], plan.split) if plan.split else ""
    return One(inputs, target, _person(cells, plan, reading, site, alike), split)


def inputs_of(cells: Mapping[str, Cell], features: Sequence[Feature], reading: Reading) -> tuple[float, ...]:
    """What a network is shown of a row. Raises UnusableError."""
    return tuple(value for one in features for value in one.values(cells[one.column], reading))


def _person(cells: Mapping[str, Cell], plan: Plan, reading: Reading, site: str, alike: Counter[str]) -> str:
    """Whose a row is; without a column for it, a name from what the row holds, not from where it stands."""
    if plan.person:
        person = person_named(text_of(cells[plan.person]))
        if not person or person in NOBODY or reading.is_missing(cells[plan.person], plan.person):
            raise UnusableError(f"column {plan.person!r} names no person")
        return person
    held = "\x1f".join(f"{name}\x1e{text_of(cell)}" for name, cell in sorted(cells.items()))
    digest = sha256(held.encode("utf-8", "replace")).hexdigest()[:DIGITS_OF_NAME]
    alike[digest] += 1
    name = f"{site}-{digest}" if site else digest
    return name if alike[digest] == 1 else f"{name}-{alike[digest]}"


def _split(cell: Cell, column: str) -> str:
    word = text_of(cell).casefold()
    if word not in SPLIT_WORDS:
        raise UnusableError(f"column {column!r} holds {word[:40]!r}: write train, validation or test")
    return SPLIT_WORDS[word]


def _joined(
    usable: Sequence[One], plan: Plan, quarantined: tuple[Quarantined, ...], consent: Mapping[str, str]
) -> Cases:
    """consent: what the rows of each person say; {} where no table has a column for it."""
    inputs: NDArray[np.float32] = np.array([one.inputs for one in usable], dtype=np.float32)
    targets = plan.target.array([one.target for one in usable])
    survives = isinstance(plan.target, Survival)
    return Cases.of(
        inputs,
        targets,
        [one.person for one in usable],
        plan.target.classes,
        prescribed=("validation", "test") if plan.split else (),
        quarantined=quarantined,
        given_split=np.array([one.split for one in usable]) if plan.split else None,
        time=targets[:, 0].copy() if survives else None,
        event=targets[:, 1].astype(np.int64) if survives else None,
        consent=np.array([consent[one.person] for one in usable]) if consent else None,
    )


def hospital_scaled(cases: Cases, columns: Sequence[int]) -> Cases:
    """With these columns of the inputs at mean 0 and deviation 1 of this hospital's rows."""
    inputs = np.array(cases.inputs)
    own = inputs[:, columns].astype(np.float64)
    spread = own.std(axis=0)
    inputs[:, columns] = (own - own.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return cases.with_columns(inputs=inputs)
