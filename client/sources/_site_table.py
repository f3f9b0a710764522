"""The table that says which hospital and which person each file is from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from client.consent import consent_column, statements
from client.sources._folders import needed
from client.sources._persons import (
    FILE_COLUMNS,
    NOBODY,
    is_bids,
    person_column,
    person_named,
    person_of_file,
    refuse_doubtful,
)
from client.sources._table_columns import text_of
from client.sources._table_files import read_rows
from client.sources._table_parquet import Cell
from common.data.cases import SiteId
from common.data.names import fault_of, in_one_form
from common.errors import SourceError

KeptColumns = tuple[tuple[str, str], ...]
"""Names of columns, and what a line has there."""


@dataclass(frozen=True)
class Listed:
    """One file's line: the hospital it is from, and the person it is of.

    site: "" where nothing is known of it. says_person: whether a column of the table names the person. fault: why
    the file cannot be used, or "". consent: what all lines of the person say; None where no column does. kept:
    columns that the cases hand on, and what the line has there.
    """

    site: SiteId
    person: str
    says_person: bool = False
    fault: str = ""
    consent: str | None = None
    kept: KeptColumns = field(default=(), compare=False)


@dataclass(frozen=True)
class Columns:
    """A table's own words. site: "" where it tells of no hospital. file, person, consent: "" for the usual words.

    guessed: the usual words for a column of persons; () for those of `_persons` and what is all but one of them.
    keep: columns to hand on.
    """

    site: str = "site"
    file: str = ""
    person: str = ""
    guessed: tuple[str, ...] = ()
    consent: str = ""
    keep: tuple[str, ...] = ()


def listed_files(path: Path, site_column: str, remedy: str) -> dict[str, Listed]:
    """As `listed`, of a table with the columns `patient` and `site_column` in which no line has a fault."""
    found = listed(path, Columns(site_column), remedy)
    for one in found.values():
        if one.fault:
            raise SourceError(f"{one.fault}.")
    return found


def listed(path: Path, columns: Columns, remedy: str) -> dict[str, Listed]:
    """Every file's hospital and person, from a table, CSV or Parquet.

    `patient` (or `file`) is the file's name without its ending. A further column `person`, `subject` or
    `participant_id` (or `patient`, where `file` names the file) says whose it is; `_persons` has what holds where
    there is none, and what is taken as written alike. Where a hospital or a person is one of NOBODY, `fault`
    says so.

    Raises SourceError, with the number of the line, where a file, a person or a hospital is not named, a file is
    given to two hospitals or two persons, or a name could lead out of the folder.
    """
    head, rows = _rows(path, remedy)
    file_column = columns.file or next((name for name in FILE_COLUMNS if name in head), "patient")
    _demand(path, head if rows else (), [file_column, *filter(None, (columns.site, columns.person)), *columns.keep])
    persons = columns.person or _persons_in(head, columns, file_column, path)
    consent = consent_column(head, columns.consent, str(path))
    said: list[tuple[str, str]] = []
    found: dict[str, Listed] = {}
    for line, row in rows:
        name, site = normalize("NFC", row[file_column]), in_one_form(row[columns.site]) if columns.site else ""
        if not name or (columns.site and not site) or not _stays_inside(name):
            what = "a patient and a hospital" if columns.site else "a patient"
            raise SourceError(f"line {line} of {path} does not name {what}.")
        one = _listed(row, columns, persons, (name, site), f"line {line} of {path}")
        one = replace(one, kept=tuple((column, row[column]) for column in columns.keep))
        before = found.setdefault(name, one)
        if before.site != one.site:
            raise SourceError(f"line {line} of {path} gives a patient to a second hospital.")
        if before != one:
            raise SourceError(f"line {line} of {path} gives a file to a second person.")
        said.append((one.person, row.get(consent, "")))
    if persons is not None:
        refuse_doubtful((one.person for one in found.values()), str(path))
    consents = statements(said) if consent else {}
    return {name: replace(one, consent=consents.get(one.person)) for name, one in found.items()}


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


def _demand(path: Path, there: Sequence[str], wanted: Sequence[str]) -> None:
    if not set(wanted) <= set(there):
        named = " and ".join(wanted)
        raise SourceError(
            f"{path} must have the columns {named}. It has: {', '.join(there) or 'none'}. A study may name others: "
            "source.patient_column, source.site_column, source.person_column."
        )


def _persons_in(head: Iterable[str], columns: Columns, file_column: str, path: Path) -> str | None:
    if columns.guessed:
        return next((name for name in columns.guessed if name in head), None)
    return person_column((name for name in head if name != columns.site), file_column, str(path))


def _listed(
    row: Mapping[str, str], columns: Columns, persons: str | None, named: tuple[str, SiteId], place: str
) -> Listed:
    name, site = named
    person = person_of_file(name) if persons is None else person_named(row[persons])
    if not person:
        raise SourceError(f"{place} names no person in column {persons}.")
    if site.casefold() in NOBODY:
        return Listed("", person, persons is not None, f"{place} has {site!r} for its hospital")
    if columns.site and (fault := fault_of(site)):
        return Listed("", person, persons is not None, f"{place} names a hospital whose name {fault}")
    if persons is not None and row[persons].casefold() in NOBODY:
        return Listed(site, person, True, f"{place} has {row[persons]!r} for its person")
    return Listed(site, person, persons is not None)


def _stays_inside(name: str) -> bool:
    """A plain name, or a path of plain names below a BIDS folder `sub-...`."""
    if set(name) & set("\\\0"):
        return False
    parts = name.split("/")
    return len(parts) == 1 or (is_bids(name) and PurePosixPath(name).as_posix() == name and ".." not in parts)
