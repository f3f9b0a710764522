"""The table beside DICOM files: a person, a hospital and a label for each patient or series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from client.consent import consent_column
from client.sources._dicom_headers import Header
from client.sources._persons import person_named, refuse_doubtful
from client.sources._site_table import KeptColumns
from client.sources._table_files import read_rows
from common.data.names import fault_of, in_one_form
from common.errors import SourceError

SERIES_COLUMNS = ("SeriesInstanceUID", "series")
PATIENT_COLUMNS = ("PatientID", "patient")
PERSON_COLUMNS = ("person", "subject", "participant_id")
SITE_COLUMN = "site"


@dataclass(frozen=True)
class Row:
    """Words of one line, "" for what it does not say. site: in one form. key, consent, kept: as they are written."""

    key: str
    line: int
    person: str
    site: str
    label: str
    consent: str
    kept: KeptColumns = ()


@dataclass(frozen=True)
class Table:
    """rows: by SeriesInstanceUID, or by PatientID in the form of `person_named`.

    has_consent: whether a column says who consents.
    """

    name: str = ""
    by_series: bool = False
    has_sites: bool = False
    rows: Mapping[str, Row] = field(default_factory=dict)
    has_consent: bool = False

    def row_of(self, header: Header) -> Row | None:
        """The line of a series or of its patient."""
        return self.rows.get(header.series if self.by_series else person_named(header.patient_id))


def read_table(
    folder: Path, name: str, site_column: str, label_column: str, named_consent: str = "", keep: Sequence[str] = ()
) -> Table:
    """A table in the folder; one without anything where `name` is "".

    site_column, label_column: "" where none is needed, except that a column `site` is used where it is there.
    named_consent: as for `consent_column`. keep: columns to hand on. Raises SourceError, with the line, where a
    patient or series is not named, or named twice with different words.
    """
    if not name:
        return Table()
    found = read_rows(folder, name)
    keys = [one for one in (*SERIES_COLUMNS, *PATIENT_COLUMNS) if one in found.columns]
    if not keys:
        raise SourceError(
            f"{name} must have a column SeriesInstanceUID or PatientID; it has {', '.join(found.columns)}."
        )
    persons = [one for one in PERSON_COLUMNS if one in found.columns]
    if len(persons) > 1:
        raise SourceError(f"{name} names persons in {' and in '.join(persons)}: keep one of these columns.")
    site_column = site_column or (SITE_COLUMN if SITE_COLUMN in found.columns else "")
    consent = consent_column(found.columns, named_consent, name)
    columns = (keys[0], *(persons or [""]), site_column, label_column, consent)
    places = [found.place(one) if one else None for one in columns]
    kept = [(one, found.place(one)) for one in keep]
    if found.broken:
        raise SourceError(f"line {found.broken[0].line} of {name} has not as many cells as there are columns.")
    rows: dict[str, Row] = {}
    for each in found.rows:
        cells = ["" if place is None else in_one_form(_text(each.cells[place])) for place in places]
        words = tuple((one, in_one_form(_text(each.cells[place]))) for one, place in kept)
        row = Row(cells[0], each.line, person_named(cells[1]), cells[2], cells[3], cells[4], words)
        _check(row, name, persons, site_column)
        key = row.key if keys[0] in SERIES_COLUMNS else person_named(row.key)
        before = rows.setdefault(key, row)
        if replace(before, key="", line=0) != replace(row, key="", line=0):
            raise SourceError(f"lines {before.line} and {row.line} of {name} say different things of {row.key!r}.")
    refuse_doubtful((row.person for row in rows.values()), name)
    return Table(name, keys[0] in SERIES_COLUMNS, bool(site_column), rows, bool(consent))


def _text(cell: str | float) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _check(row: Row, name: str, persons: list[str], site_column: str) -> None:
    place = f"line {row.line} of {name}"
    if not row.key:
        raise SourceError(f"{place} names no patient and no series.")
    if persons and not row.person:
        raise SourceError(f"{place} names no person in column {persons[0]}.")
    if site_column and (fault := fault_of(row.site)):
        raise SourceError(f"{place}: the hospital in column {site_column} {fault}.")
