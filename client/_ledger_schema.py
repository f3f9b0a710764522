"""What a ledger's SQLite file is made of, and what is refused before SQLite acts on files that others prepared.

A run folder may come from anybody, and opening a database is more than reading it. A journal left beside it is
played back, and where it names a further file, as journals of several databases do, SQLite deletes that file,
wherever it is; a view in the place of a table computes whatever its author wrote, without end. A ledger has neither.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from common.errors import LedgerError
from common.files.access import if_there, open_inside
from common.files.access import is_there as has

TABLES = (
    """CREATE TABLE entries (number INTEGER PRIMARY KEY, kind TEXT NOT NULL, at TEXT NOT NULL, study TEXT NOT NULL,
    title TEXT NOT NULL, round INTEGER NOT NULL, unit TEXT NOT NULL, delta REAL NOT NULL, releases TEXT NOT NULL,
    patients TEXT NOT NULL, seal TEXT NOT NULL) STRICT""",
    """CREATE TABLE patient_sets (name TEXT NOT NULL, patient TEXT NOT NULL, cases INTEGER NOT NULL,
    PRIMARY KEY (name, patient)) STRICT, WITHOUT ROWID""",
    *(
        f"""CREATE TRIGGER {table}_refuse_{verb} BEFORE {verb} ON {table}
        BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END"""
        for table in ("entries", "patient_sets")
        for verb in ("update", "delete")
    ),
)

JOURNAL, OTHERS = "-journal", ("-wal", "-shm")
_NAMES_A_FILE = bytes.fromhex("d9d505f920a163d7")
"""The last eight bytes of a journal that names another file, as of the header of every journal."""
_ROLLBACK = b"\x01\x01"
"""Bytes 18 and 19 of a database whose changes go through a rollback journal."""


def refuse_other_files(folder: Path, name: str) -> None:
    """Raise LedgerError where SQLite would touch more than the database `name` and a journal of its own.

    FileError where one of the two is a link or no file. The journal comes and goes with another process's charges.
    """
    for ending in OTHERS:
        if has(folder, f"{name}{ending}"):
            raise LedgerError(f"{name}{ending} is none of a ledger's files: remove it, or bring back a backup.")
    if if_there(_bytes, folder, name, 18, 20) not in (None, b"", _ROLLBACK):
        raise LedgerError(f"{name} in the hospital's folder is no ledger of privacy spending.")
    journal = f"{name}{JOURNAL}"
    if if_there(_bytes, folder, journal, -len(_NAMES_A_FILE)) == _NAMES_A_FILE:
        raise LedgerError(
            f"{journal} names a file elsewhere, which SQLite would delete; a ledger's own journal names none. "
            "Nothing was opened."
        )


def is_there(connection: sqlite3.Connection, name: str) -> bool:
    """Whether the database has a ledger's tables. Raises LedgerError where it has anything that no ledger has."""
    ours, found = _expected(), set()
    for kind, what, text in connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"):
        found.add((kind, what))
        if ours.get((kind, what)) != _one_line(text):
            raise LedgerError(f"{name} holds a {kind} {str(what)[:40]!r} that no ledger has; it is not read.")
    return {("table", "entries"), ("table", "patient_sets")} <= found


def _expected() -> dict[tuple[str, str], str]:
    """Kind and name of all that a ledger's database has, and how it was made."""
    made = {}
    for text in map(_one_line, TABLES):
        _, kind, name, *_ = text.split(" ")
        made[kind.lower(), name] = text
    return made


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _bytes(folder: Path, name: str, start: int, end: int | None = None) -> bytes:
    with open_inside(folder, name) as file:
        if start < 0:
            start = max(file.seek(0, 2) + start, 0)
        file.seek(start)
        return file.read() if end is None else file.read(end - start)
