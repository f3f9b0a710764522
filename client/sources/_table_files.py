"""Files of tables in a folder, each read into rows of cells, with the line that every row came from."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from client.sources._folders import LARGEST_TABLE_BYTES, beside
from client.sources._table_parquet import PARQUET_ENDINGS, Cell, read_parquet
from client.sources._table_text import AUTO, decoded
from common.data.names import in_one_form
from common.errors import AbsentFileError, FileError, SourceError
from common.files import access as files
from common.study.spelling import unknown

TEXT_ENDINGS = (".csv", ".tsv", ".txt", ".tab")
UNREAD_ENDINGS = (".xlsx", ".xls", ".xlsm", ".ods", ".sav", ".dta", ".sas7bdat", ".csv.gz", ".csv.zip")
"""Of tables that are not read: one beside others is most likely a hospital's."""
DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
LARGEST_CELL = 1 << 17
"""Characters; `csv` refuses longer ones."""


@dataclass(frozen=True)
class Row:
    """line: where it begins in its file, the header mostly in line 1; of Parquet, the row's number, from 1."""

    line: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Rows:
    """A file's table. columns: names in one form, no two alike. broken: rows with more or fewer cells.

    delimiter: of text; "" of Parquet, whose numbers are numbers already. skipped: rows without any content.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    broken: tuple[Row, ...] = ()
    delimiter: str = ""
    skipped: int = 0

    def place(self, column: str) -> int:
        """Where a column stands. Raises UnknownNameError with the nearest name."""
        if column not in self.columns:
            raise unknown(f"column in {self.name}", column, self.columns)
        return self.columns.index(column)


def table_files(folder: Path) -> dict[str, str]:
    """Every table directly in the folder: the file's name, by its stem in one form. Hidden files are left out.

    Raises SourceError where two have one stem, or one is of a kind that is not read: a hospital would be lost.
    """
    found: dict[str, str] = {}
    for name in files.names(folder):
        if name.lower().endswith(UNREAD_ENDINGS) and not name.startswith((".", "~")):
            raise SourceError(
                f"{folder} holds {name}, which is not read: save the table as CSV, or move the file elsewhere."
            )
        if name.startswith((".", "~")) or not name.lower().endswith((*TEXT_ENDINGS, *PARQUET_ENDINGS)):
            continue
        stem = in_one_form(name[: name.rindex(".")])
        if stem in found:
            raise SourceError(f"{folder} holds {found[stem]} and {name}: two tables of one name. Keep one of them.")
        found[stem] = name
    return found


def read_rows(
    folder: Path, name: str, expected: Collection[str] = (), encoding: str = AUTO, delimiter: str = AUTO
) -> Rows:
    """The table `name` below `folder`. expected: columns that it must have, by which its delimiter is known.

    Raises SourceError where the file is absent, too large, in an encoding or with a delimiter that is doubtful,
    without a header, or names two columns alike.
    """
    try:
        if name.lower().endswith(PARQUET_ENDINGS):
            with files.open_inside(folder, name) as file:
                columns, cells = read_parquet(file, name)
            return Rows(name, _named(columns, name), tuple(Row(at, row) for at, row in enumerate(cells, start=1)))
        data = files.read(folder, name, LARGEST_TABLE_BYTES)
    except AbsentFileError:
        raise SourceError(f"there is no file {folder / name}{beside(folder / name) or '.'}") from None
    except FileError as error:
        raise SourceError(str(error)) from error
    text = decoded(data, name, encoding)
    try:
        return _parsed(text, name, {in_one_form(column) for column in expected}, delimiter)
    except csv.Error as error:
        raise SourceError(f"{name} is no table of text: {error}.") from error


def _parsed(text: str, name: str, expected: Collection[str], delimiter: str) -> Rows:
    if not text.strip():
        raise SourceError(f"{name} is empty: a line with the columns' names is needed, and a line a case.")
    first, _, rest = text.partition("\n")
    before = 0
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:
        delimiter, text, before = (first.strip()[4] if delimiter == AUTO else delimiter), rest, 1
    chosen = _delimiter(text, name, expected) if delimiter == AUTO else delimiter
    records = _records(text, chosen, name, before)
    header = next(records, None)
    if header is None:
        raise SourceError(f"{name} holds nothing but blank lines.")
    columns = list(map(in_one_form, header[1]))
    rows: list[Row] = []
    broken: list[Row] = []
    skipped = 0
    for line, cells in records:
        if not any(map(str.strip, cells)):
            skipped += 1
            continue
        fitted = _fitted([cell.strip() for cell in cells], columns)
        (rows if len(fitted) == len(columns) else broken).append(Row(line, tuple(fitted)))
    kept = [at for at, column in enumerate(columns) if column or any(row.cells[at] for row in rows)]
    rows = [Row(row.line, tuple(row.cells[at] for at in kept)) for row in rows] if len(kept) < len(columns) else rows
    return Rows(name, _named([columns[at] for at in kept], name), tuple(rows), tuple(broken), chosen, skipped)


def _fitted(cells: list[str], columns: Sequence[str]) -> list[str]:
    """Without empty cells beyond the last column; with those that an unnamed last column lacks."""
    while len(cells) > len(columns) and not cells[-1]:
        cells = cells[:-1]
    if len(cells) < len(columns) and not any(columns[len(cells) :]):
        cells = [*cells, *[""] * (len(columns) - len(cells))]
    return cells


def _records(text: str, delimiter: str, name: str, before: int = 0) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of every line that is not blank. A quoted cell may hold line breaks."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1 + before
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise SourceError(f"line {line} of {name} cannot be read as cells: {error}.") from error
        if cells:
            yield line, cells


def _delimiter(text: str, name: str, expected: Collection[str]) -> str:
    """By the header alone, so that no case decides how the others are read: what parts it into the columns needed."""
    headers = {}
    for delimiter in DELIMITERS:
        try:
            _, cells = next(_records(text, delimiter, name), (0, []))
        except SourceError:
            continue
        headers[delimiter] = {in_one_form(cell) for cell in cells}
    parting = [delimiter for delimiter, columns in headers.items() if len(columns) > 1]
    fitting = [delimiter for delimiter in parting if set(expected) <= headers[delimiter]]
    for found in (fitting, parting):
        if len(found) == 1:
            return found[0]
    if not parting:
        raise SourceError(f"{name} has one column, whether parted by {', '.join(DELIMITERS.values())}.")
    ways = " or ".join(DELIMITERS[delimiter] for delimiter in fitting or parting)
    raise SourceError(f"the header of {name} can be parted by {ways}: set source.delimiter.")


def _named(header: Collection[str], name: str) -> tuple[str, ...]:
    columns = tuple(map(in_one_form, header))
    twice = [column for column, times in Counter(columns).items() if times > 1]
    if twice:
        places = " and ".join(str(at) for at, column in enumerate(columns, start=1) if column == twice[0])
        called = f"calls columns {places} {twice[0]!r}" if twice[0] else f"gives columns {places} no name"
        raise SourceError(f"{name} {called}: give each a name of its own.")
    return columns
