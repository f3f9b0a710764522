"""A person's own table as columns of numbers and words, and a release written as one."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.sources._table_columns import text_of
from client.sources._table_files import Rows, read_rows
from client.sources._table_layout import seems_to_name_persons
from client.sources._table_numbers import Convention, found_convention
from common.asking.records import Records, Values
from common.errors import StudyError
from common.study.spelling import unknown

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
NEARLY_ALL, ENOUGH_TO_TELL, LEAST_DIGITS = 0.9, 100, 4
"""Share of different values that says who somebody is, and rows, or digits, from which on numbers do."""
_CALLED = re.compile(
    r"(first|last|full|maiden|family|given|user|birth|vor|nach|sur)[ _-]?name|address|adresse|street|stra(ss|ß)e|"
    r"(?<![a-z])(tel|fax|mobile|nhs)(?![a-z])|tele(ph|f)on|"
    r"(insurance|insured|social|versicher|kranken)\w*[ _-]?(nr|no|number|nummer|id)(?![a-z])"
)
"""Beside what a study's table calls persons: what may be alike in some rows, and is not found by that."""
MISSING = frozenset({"", "?", "na", "n/a", "nan", "null", "."})


@dataclass(frozen=True)
class Table:
    """records: its rows, each a person of its own. identifying: columns that seem to say who somebody is.

    broken: how many lines had more or fewer cells than columns, and are left out.
    """

    name: str
    records: Records
    identifying: tuple[str, ...]
    broken: int

    @property
    def columns(self) -> tuple[str, ...]:
        """In the file's order."""
        return tuple(self.records.columns)

    def demand(self, names: Sequence[str]) -> None:
        """Raise UnknownNameError for the first that is no column, with the nearest."""
        for name in names:
            if name not in self.records.columns:
                raise unknown(f"column in {self.name}", name, self.columns)

    def rows_of_one(self, person: str) -> int:
        """The most rows that one value of a column has; rows without one are of a person each."""
        words = self.records.words(person)
        return int(np.unique(words[words != ""], return_counts=True)[1].max(initial=1))

    def days(self, name: str) -> NDArray[np.float64] | None:
        """A column of dates such as 1950-12-31, as days; None where it holds anything else."""
        words = self.records.columns[name]
        if words.dtype == np.float64:
            return None
        known = {word: _day(word) for word in np.unique(words.astype(np.str_)).tolist() if word}
        if not known or None in known.values():
            return None
        return np.array([known.get(word, np.nan) for word in words.tolist()], dtype=np.float64)


def read_table(path: Path) -> Table:
    """CSV, TSV or Parquet. Raises SourceError where it cannot be read, StudyError where it has no row."""
    rows = read_rows(path.parent, path.name)
    if not rows.rows:
        raise StudyError(f"{path.name} has no row beside its columns' names.")
    convention = found_convention(_cells(rows), rows.delimiter, rows.name) if rows.delimiter else Convention()
    columns = {name: _column(rows, place, convention) for place, name in enumerate(rows.columns) if name}
    persons = np.array([str(index) for index in range(len(rows.rows))])
    identifying = tuple(name for name, values in columns.items() if _is_called_so(name) or _tells_apart(values))
    return Table(path.name, Records(columns, persons), identifying, len(rows.broken))


def csv_of(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """With a line feed after each row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _cells(rows: Rows) -> list[tuple[int, str, str]]:
    return [
        (row.line, column, cell)
        for row in rows.rows
        for column, cell in zip(rows.columns, row.cells, strict=True)
        if isinstance(cell, str)
    ]


def _column(rows: Rows, place: int, convention: Convention) -> Values:
    """Numbers where every cell that holds anything holds one, else words."""
    cells = [row.cells[place] for row in rows.rows]
    numbers = [_number(cell, convention) for cell in cells]
    if None not in numbers:
        return np.array(numbers, dtype=np.float64)
    return np.array(["" if text_of(cell).casefold() in MISSING else text_of(cell) for cell in cells], dtype=np.str_)


def _number(cell: str | float, convention: Convention) -> float | None:
    """NaN for nothing, None for a word."""
    if not isinstance(cell, str):
        return float(cell)
    return float("nan") if cell.casefold() in MISSING else convention.number(cell)


def _is_called_so(name: str) -> bool:
    return seems_to_name_persons(name) or _CALLED.search(name.casefold()) is not None


def _tells_apart(column: Values) -> bool:
    """Whether values are nearly as many as rows: words, of which two may share one, or numbers like keys."""
    if column.dtype == np.float64:
        numbers = column[~np.isnan(column)].astype(np.float64)
        differ = bool((numbers == np.floor(numbers)).all()) and 1 < len(numbers) == len(np.unique(numbers))
        digits = {len(f"{abs(number):.0f}") for number in numbers.tolist()}
        return differ and (len(numbers) >= ENOUGH_TO_TELL or (len(digits) == 1 and min(digits) >= LEAST_DIGITS))
    words = column[column != ""]
    return len(words) > 1 and len(np.unique(words)) >= NEARLY_ALL * len(words)


def _day(word: str) -> float | None:
    try:
        return float(date.fromisoformat(word).toordinal()) if DAY.fullmatch(word) else None
    except ValueError:
        return None
