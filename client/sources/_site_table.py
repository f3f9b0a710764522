"""The table that says which hospital and which person each file is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from client.sources._folders import needed
from client.sources._persons import (
    FILE_COLUMNS,
    is_bids,
    person_column,
    person_named,
    person_of_file,
    refuse_doubtful,
)
from client.sources._table_columns import text_of
from client.sources._table_files import read_rows
from client.sources._table_parquet import Cell
from common.cases import SiteId
from common.errors import SourceError
from common.names import fault_of, in_one_form


@dataclass(frozen=True)
class Listed:
    """One file's line: the hospital it is from, and the person it is of."""

    site: SiteId
    person: str


def listed_files(path: Path, site_column: str, remedy: str) -> dict[str, Listed]:
    """Every file's hospital and person, from a table, CSV or Parquet, with the columns `patient` and `site_column`.

    `patient` (or `file`) is the file's name without its ending. A further column `person`, `subject` or
    `participant_id` (or `patient`, where `file` names the file) says whose it is; `_persons` has what holds where
    there is none, and what is taken as written alike.

    Raises SourceError, with the number of the line, where a file, a person or a hospital is not named, a file is
    given to two hospitals or two persons, or a name could lead out of the folder.
    """
    columns, rows = _rows(path, remedy)
    file_column = next((name for name in FILE_COLUMNS if name in columns), "patient")
    if not rows or not {file_column, site_column} <= set(columns):
        raise SourceError(f"{path} must have the columns patient and {site_column}, and a line a file.")
    persons = person_column((name for name in columns if name != site_column), file_column, str(path))
    listed: dict[str, Listed] = {}
    for line, row in rows:
        name, site = row[file_column], in_one_form(row[site_column])
        if not name or not site or not _stays_inside(name):
            raise SourceError(f"line {line} of {path} does not name a patient and a hospital.")
        if fault := fault_of(site):
            raise SourceError(f"line {line} of {path} names a hospital whose name {fault}.")
        one = Listed(site, _person(row, persons, name, f"line {line} of {path}"))
        before = listed.setdefault(name, one)
        if before.site != site:
            raise SourceError(f"line {line} of {path} gives a patient to a second hospital.")
        if before != one:
            raise SourceError(f"line {line} of {path} gives a file to a second person.")
    if persons is not None:
        refuse_doubtful((one.person for one in listed.values()), str(path))
    return listed


def site_table(path: Path, site_column: str, remedy: str) -> dict[str, SiteId]:
    """The hospital of every file. Raises as `listed_files`."""
    return {name: one.site for name, one in listed_files(path, site_column, remedy).items()}


def _rows(path: Path, remedy: str) -> tuple[tuple[str, ...], list[tuple[int, dict[str, str]]]]:
    """Names of the columns, and of every row its line and its cells by column."""
    needed(path, remedy)
    table = read_rows(path.parent, path.name)
    width = len(table.columns)
    for row in table.broken:
        if len(row.cells) > width:
            raise SourceError(f"line {row.line} of {path} has {len(row.cells)} cells, and the header {width}.")
    rows = sorted((*table.rows, *table.broken), key=lambda row: row.line)
    filled = [(row.line, (*map(_text, row.cells), *("" for _ in range(width - len(row.cells))))) for row in rows]
    return table.columns, [(line, dict(zip(table.columns, cells, strict=True))) for line, cells in filled]


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else text_of(cell)


def _stays_inside(name: str) -> bool:
    """A plain name, or a path of plain names below a BIDS folder `sub-...`."""
    if set(name) & set("\\\0"):
        return False
    parts = name.split("/")
    return len(parts) == 1 or (is_bids(name) and PurePosixPath(name).as_posix() == name and ".." not in parts)


def _person(row: Mapping[str, str], column: str | None, name: str, place: str) -> str:
    if column is None:
        return person_of_file(name)
    person = person_named(row[column] or "")
    if not person:
        raise SourceError(f"{place} names no person in column {column}.")
    return person
