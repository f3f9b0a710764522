"""The table that says which hospital and which person each file is from."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from client.sources._folders import needed
from client.sources._persons import (
    FILE_COLUMNS,
    is_bids,
    person_column,
    person_named,
    person_of_file,
    refuse_doubtful,
)
from common.cases import SiteId
from common.errors import SourceError

DELIMITERS = ",;\t|"
NOT_MEASURED = ("n/a", "na", "nan", "none", "null", "?", "-9", "-99", "-999", "-9999")
"""What tables write where nothing is known: it names no hospital and no person."""
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Listed:
    """One file's line: the hospital it is from, and the person it is of.

    site: "" where nothing is known of it. says_person: whether a column of the table names the person. fault: why
    the file cannot be used, or "".
    """

    site: SiteId
    person: str
    says_person: bool = False
    fault: str = ""


@dataclass(frozen=True)
class Columns:
    """A table's own words. site: "" where it tells of no hospital. file, person: "" for the usual words.

    guessed: the usual words for a column of persons; () for those of `_persons` and what is all but one of them.
    """

    site: str = "site"
    file: str = ""
    person: str = ""
    guessed: tuple[str, ...] = ()


def listed_files(path: Path, site_column: str, remedy: str) -> dict[str, Listed]:
    """As `listed`, of a table with the columns `patient` and `site_column` in which no line has a fault."""
    found = listed(path, Columns(site_column), remedy)
    for one in found.values():
        if one.fault:
            raise SourceError(f"{one.fault}.")
    return found


def listed(path: Path, columns: Columns, remedy: str) -> dict[str, Listed]:
    """Every file's hospital and person, from a table separated by , ; | or tabs, in UTF-8, or marked UTF-16.

    `patient` (or `file`) is the file's name without its ending. A further column `person`, `subject` or
    `participant_id` (or `patient`, where `file` names the file) says whose it is; `_persons` has what holds where
    there is none, and what is taken as written alike. Where a hospital or a person is one of NOT_MEASURED, `fault`
    says so.

    Raises SourceError, with the number of the line, where a file, a person or a hospital is not named, a file is
    given to two hospitals or two persons, or a name could lead out of the folder.
    """
    rows = _rows(path, columns, remedy)
    file_column = columns.file or next((name for name in FILE_COLUMNS if rows and name in rows[0]), "patient")
    _demand(path, rows, [file_column, *filter(None, (columns.site, columns.person))])
    persons = columns.person or _persons_in(rows[0], columns, file_column, path)
    found: dict[str, Listed] = {}
    for line, row in enumerate(rows, start=2):
        name, site = row[file_column], site_named(row[columns.site]) if columns.site else ""
        if not name or (columns.site and not site) or not _stays_inside(name):
            what = "a patient and a hospital" if columns.site else "a patient"
            raise SourceError(f"line {line} of {path} does not name {what}.")
        one = _listed(row, columns, persons, (name, site), f"line {line} of {path}")
        before = found.setdefault(name, one)
        if before.site != one.site:
            raise SourceError(f"line {line} of {path} gives a patient to a second hospital.")
        if before != one:
            raise SourceError(f"line {line} of {path} gives a file to a second person.")
    if persons is not None:
        refuse_doubtful((one.person for one in found.values()), str(path))
    return found


def site_named(text: str) -> SiteId:
    """A hospital's name in one form: Unicode NFC, trimmed, every run of blanks one space."""
    return normalize("NFC", " ".join(text.split()))


def site_table(path: Path, site_column: str, remedy: str) -> dict[str, SiteId]:
    """The hospital of every file. Raises as `listed_files`."""
    return {name: one.site for name, one in listed_files(path, site_column, remedy).items()}


def _rows(path: Path, columns: Columns, remedy: str) -> list[dict[str, str]]:
    """Every line by its columns, cells trimmed, lines without any cell left out."""
    try:
        lines = list(_lines(_text(needed(path, remedy).read_bytes()), columns))
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path} is not a CSV file in UTF-8. Save it as CSV (UTF-8).") from error
    head = [cell.strip() for cell in lines[0]] if lines else []
    for number, line in enumerate(lines[1:], start=2):
        if len(line) > len(head) and any(cell.strip() for cell in line[len(head) :]):
            raise SourceError(f"line {number} of {path} has more cells than the table has columns ({len(head)}).")
    padded = ([*line, *[""] * len(head)] for line in lines[1:])
    return [dict(zip(head, (cell.strip() for cell in line), strict=False)) for line in padded]


def _text(data: bytes) -> str:
    return data.decode("utf-16") if data.startswith(UTF_16) else data.decode("utf-8-sig")


def _lines(text: str, columns: Columns) -> Iterator[list[str]]:
    """Cells of every line, by the delimiter that finds the most of the columns wanted, and then the most columns."""
    wanted = {columns.site, columns.file, columns.person, *FILE_COLUMNS}

    def heads(delimiter: str) -> tuple[int, int]:
        head = next(csv.reader(StringIO(text, newline=""), delimiter=delimiter), [])
        return len(wanted & {cell.strip() for cell in head}), len(head)

    best = max(DELIMITERS, key=heads)
    return (line for line in csv.reader(StringIO(text, newline=""), delimiter=best) if line)


def _demand(path: Path, rows: Sequence[Mapping[str, str]], wanted: Sequence[str]) -> None:
    there = list(rows[0]) if rows else []
    if not set(wanted) <= set(there):
        named = " and ".join(wanted)
        raise SourceError(
            f"{path} must have the columns {named}. It has: {', '.join(there) or 'none'}. A study may name others: "
            "source.patient_column, source.site_column, source.person_column."
        )


def _persons_in(head: Mapping[str, str], columns: Columns, file_column: str, path: Path) -> str | None:
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
    if site.casefold() in NOT_MEASURED:
        return Listed("", person, persons is not None, f"{place} has {site!r} for its hospital")
    if persons is not None and row[persons].casefold() in NOT_MEASURED:
        return Listed(site, person, True, f"{place} has {row[persons]!r} for its person")
    return Listed(site, person, persons is not None)


def _stays_inside(name: str) -> bool:
    """A plain name, or a path of plain names below a BIDS folder `sub-...`."""
    if set(name) & set("\\\0"):
        return False
    parts = name.split("/")
    return len(parts) == 1 or (is_bids(name) and PurePosixPath(name).as_posix() == name and ".." not in parts)
