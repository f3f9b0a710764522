"""Which columns of a study's tables are learned from, where a study does not name them, and which must not be."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from client.sources._persons import PERSON_COLUMNS
from common.data.names import in_one_form
from common.errors import SourceError
from common.study.spelling import unknown

SITE_WORDS = ("site", "hospital", "center", "centre", "institution", "clinic", "klinik", "hospital_id", "site_id")
_IDENTIFYING = re.compile(
    r"(?<![a-z])(id|ids|pid|mrn|uid|guid|uuid|ssn|cpf|iban|e?mail|phone|name|nachname|vorname|surname|nummer|"
    r"person|subject|participant|patient(in)?)(?![a-z])|(patient|subject|person|participant|fall|case)(en)?[ _-]?"
    r"(id|nr|no|nummer|number)(?![a-z])"
)
_INDEX_OF_PANDAS = re.compile(r"__index_level_\d+__")


def found_person_column(headers: Sequence[tuple[str, tuple[str, ...]]]) -> str:
    """The column that names persons where the study does not say which; "" where there is none.

    headers: (file, columns) of every table. Raises SourceError where several could, or not all tables have it.
    """
    found = {table: [name for name in columns if name.casefold() in PERSON_COLUMNS] for table, columns in headers}
    for table, names in found.items():
        if len(names) > 1:
            raise SourceError(f"{table} has {' and '.join(names)}: set source.person to the one that names persons.")
    (first, usual), *others = found.items()
    for table, names in others:
        if names != usual:
            raise SourceError(
                f"{first} names persons in {usual[0] if usual else 'no column'}, {table} in "
                f"{names[0] if names else 'no column'}: call it alike in all tables, or set source.person."
            )
    return usual[0] if usual else ""


def found_features(headers: Sequence[tuple[str, tuple[str, ...]]], used: Collection[str]) -> tuple[str, ...]:
    """All columns that are not used otherwise, sorted, so that hospitals need not agree on an order.

    headers: (file, columns) of every table. Raises SourceError where tables differ, where the header seems to be
    missing, or where a column names persons or hospitals rather than what is known of them.
    """
    name, columns = headers[0]
    for other, theirs in headers[1:]:
        differ = (set(theirs) ^ set(columns)) - set(used)
        if differ:
            raise SourceError(
                f"{other} and {name} differ in the columns {', '.join(sorted(differ))}: name "
                "those to learn from in source.features, or those to leave out in source.ignore."
            )
    features = sorted(one for one in columns if one not in used and not _INDEX_OF_PANDAS.fullmatch(one))
    if not features:
        raise SourceError(f"{name} has no column to learn from: its columns are {', '.join(columns)}.")
    for feature in features:
        _refuse_naming(feature, name)
    return tuple(features)


def seems_to_name_persons(column: str) -> bool:
    """Whether a column is called as those are that say whose a row is."""
    return _IDENTIFYING.search(column.casefold()) is not None


def refuse_nameless_persons(headers: Sequence[tuple[str, tuple[str, ...]]], used: Collection[str]) -> None:
    """Raise SourceError where a column that is left out seems to name persons, and each row would be one of its own.

    headers: (file, columns) of every table. used: columns whose meaning the study says.
    """
    for table, columns in headers:
        for column in columns:
            if column not in used and seems_to_name_persons(column):
                raise SourceError(
                    f"column {column!r} of {table} seems to name persons, and without it every row is taken for a "
                    f"person of its own: set source.person = {column!r} if it does, or source.ignore = [{column!r}]."
                )


def _refuse_naming(column: str, table: str) -> None:
    if not column:
        raise SourceError(f'a column of {table} has no name: give it one, or leave it out, source.ignore = [""].')
    option = ""
    if column.casefold() in SITE_WORDS:
        option = "site"
    elif seems_to_name_persons(column):
        option = "person"
    if option:
        raise SourceError(
            f"column {column!r} of {table} seems to name {'hospitals' if option == 'site' else 'persons'}: set "
            f"source.{option} = {column!r} if it does, source.ignore = [{column!r}] to leave it out, or name the "
            "columns to learn from in source.features."
        )


def refuse_absent(named: Collection[str], columns: Collection[str], table: str) -> None:
    """Raise for the first column that a study names and a table lacks, with the nearest that it has."""
    for name in named:
        if in_one_form(name) in columns:
            continue
        numbers = sum(re.fullmatch(r"[-+]?[\d.,]+", one) is not None for one in columns)
        if numbers * 2 >= len(columns):
            raise SourceError(
                f"{table} has no column {name!r}: its first line seems to hold values, not names: "
                f"{', '.join(list(columns)[:8])}. Put a line with the columns' names before it."
            )
        raise unknown(f"column in {table}", name, [one for one in columns if one])


def inside_name(name: str) -> str:
    """A study's word for a file below the hospital's folder. Raises SourceError where it leads out."""
    if Path(name).is_absolute() or ".." in Path(name).parts or set(name) & set("\\\0"):
        raise SourceError(
            f"source.file names a table inside source.folder; {name!r} leads out of it: set source.folder too."
        )
    return name
