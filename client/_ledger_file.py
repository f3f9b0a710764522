"""The ledger on disk: a SQLite file that only grows, its key, and a head that says how far it grew.

Every row has a code that authenticates it together with the code of the row before, so a row that is changed, left
out, put in or moved breaks the chain there. The head, a file of its own, says how many rows there were when it was
written: rows cut off at the end, or the whole file gone or replaced by another hospital's, are noticed by it. It is
written just after the rows; after a crash in between, the ledger is one row ahead of it, which is no fault. Before
the next row is written the head catches up, so a head that is farther behind is an older copy put back. A marker, and
whatever else only a charge leaves, says that there was a ledger: with it a folder that lost all three files starts no
new one.

Whoever copies a ledger takes its `-journal` along, and does not keep it open: a charge waits a minute for a reader,
and is then refused.

Not noticed: an older copy of the ledger and its head put back together; the whole folder as it was before the first
charge, marker and all; the newest row gone where a crash had kept the head from naming it; and whatever somebody
writes who can read the key. Against these the folder's permissions must stand, and a witness elsewhere: the number
and code of the last row, which `wardround privacy ledger` prints to be written down.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client import _ledger_key as ledger_keys
from client import _ledger_schema as schema
from client._ledger_accounting import PatientSet
from client._ledger_entry import COLUMNS, LedgerEntry, from_row
from client._ledger_key import START, LedgerKey
from client.atomic_write import write_durably
from client.update_cache import FOLDER as LAST_UPDATES
from common.errors import AbsentFileError, FileError, LedgerError
from common.files.access import create, if_there, is_there, names, read
from common.files.json_files import read_table

FILE, KEY_FILE, HEAD_FILE = "privacy-ledger.sqlite", "privacy-ledger.key", "privacy-ledger.head"
MARKER_FILE = "privacy-ledger.began"
"""Written once, with the key: there is a ledger here, and which."""
MOST_BEHIND = 1
"""Rows by which an honest head may be behind, for a crash between a row and its head."""
BUSY_TIMEOUT_S = 60.0
LARGEST_HEAD_BYTES = 1 << 12


@dataclass(frozen=True)
class Contents:
    """Entries in order, the sets of patients they name, and the last code.

    fault: where the ledger is not as it was written; entries and sets are then those before. None: all verified.
    behind: rows that the head does not name yet.
    """

    entries: tuple[LedgerEntry, ...]
    sets: Mapping[str, PatientSet]
    last: str
    fault: str | None
    behind: int = 0


class Fault(Exception):  # noqa: N818 - what was found, not what went wrong here
    """Where the ledger is not as it was written."""


@contextmanager
def opened(folder: Path, create: bool) -> Iterator[tuple[sqlite3.Connection, LedgerKey]]:
    """The ledger in `folder`, alone: others wait up to BUSY_TIMEOUT_S. Nothing is kept unless `commit` is called.

    Raises LedgerError where it is absent (and not to be created), incomplete, busy for too long or no database.
    """
    try:
        _check_files(folder, create)
        with closing(_connect(folder / FILE)) as connection:
            key = _begun(connection, folder)
            yield connection, key
    except sqlite3.Error as error:
        raise LedgerError(f"{FILE} in the hospital's folder cannot be used: {error}.") from error
    except (OSError, FileError) as error:
        raise LedgerError(f"the ledger in the hospital's folder cannot be used: {error}.") from error


def is_begun(folder: Path) -> bool:
    """Whether anything of a ledger is there, or says that there was one."""
    return any(is_there(folder, name) for name in (FILE, KEY_FILE, HEAD_FILE)) or bool(trace(folder))


def commit(connection: sqlite3.Connection, folder: Path, key: LedgerKey) -> None:
    """Keep what was appended, on disk when this returns, and then move the head."""
    connection.execute("COMMIT")
    connection.execute("BEGIN IMMEDIATE")
    write_head(connection, folder, key)
    connection.execute("ROLLBACK")


def append(connection: sqlite3.Connection, key: LedgerKey, before: str, entry: LedgerEntry) -> None:
    """Add a row after the one of code `before`."""
    row = entry.row()
    marks = ", ".join("?" * (len(COLUMNS) + 1))
    connection.execute(f"INSERT INTO entries VALUES ({marks})", (*row, key.row(before, row)))


def keep_set(connection: sqlite3.Connection, key: LedgerKey, patients: PatientSet) -> str:
    """Store a set of patients, unless it is there; its name."""
    name = key.patient_set(patients.items())
    if connection.execute("SELECT 1 FROM patient_sets WHERE name = ? LIMIT 1", (name,)).fetchone() is None:
        rows = [(name, patient, cases) for patient, cases in patients.items()]
        connection.executemany("INSERT INTO patient_sets VALUES (?, ?, ?)", rows)
    return name


def contents(connection: sqlite3.Connection, folder: Path, key: LedgerKey) -> Contents:
    """Everything, verified row by row against the chain, the head and the names of its sets."""
    entries: list[LedgerEntry] = []
    sets: dict[str, PatientSet] = {}
    seen = [START]
    fault, behind = None, 0
    try:
        for row in connection.execute("SELECT * FROM entries ORDER BY number"):
            entry = _verified(key, seen[-1], len(seen), row)
            if entry.kind == "charge" and entry.patients not in sets:
                sets[entry.patients] = _verified_set(connection, key, entry)
            entries.append(entry)
            seen.append(row[-1])
        behind = _rows_behind(folder, key, seen)
    except (Fault, sqlite3.DatabaseError) as error:
        fault = str(error)
    return Contents(tuple(entries), sets, seen[-1], fault, behind)


def _verified(key: LedgerKey, before: str, number: int, row: tuple[Any, ...]) -> LedgerEntry:
    if row[0] != number:
        raise Fault(f"row {number} is missing")
    if key.row(before, row[:-1]) != row[-1]:
        raise Fault(f"row {number} is not as it was written")
    return from_row(row[:-1])


def _verified_set(connection: sqlite3.Connection, key: LedgerKey, entry: LedgerEntry) -> PatientSet:
    rows = connection.execute("SELECT patient, cases FROM patient_sets WHERE name = ?", (entry.patients,)).fetchall()
    if key.patient_set(rows) != entry.patients:
        raise Fault(f"the patients of row {entry.number} are not as they were written")
    return dict(rows)


def _rows_behind(folder: Path, key: LedgerKey, seen: list[str]) -> int:
    try:
        number, last, signed = _head(folder)
    except (FileError, ValueError, TypeError, KeyError):
        raise Fault(f"{HEAD_FILE} is missing, damaged or of another format") from None
    if key.head(number, last) != signed:
        raise Fault(f"{HEAD_FILE} is not as it was written")
    if number >= len(seen):
        raise Fault(f"{number} rows were written, and {len(seen) - 1} are left")
    if seen[number] != last:
        raise Fault(f"row {number} is not the one that {HEAD_FILE} names")
    behind = len(seen) - 1 - number
    if behind > MOST_BEHIND:
        raise Fault(f"{HEAD_FILE} is an older copy: it names row {number} of {len(seen) - 1}")
    return behind


def _head(folder: Path) -> tuple[int, str, str]:
    head = read_table(folder, HEAD_FILE, required=True)
    return int(head["number"]), str(head["last"]), str(head["seal"])


def trace(folder: Path) -> str:
    """What says that there is, or was, a ledger in the folder; "" where nothing does."""
    if is_there(folder, MARKER_FILE):
        return MARKER_FILE
    if any(not name.startswith(".") for name in names(folder, LAST_UPDATES)):
        return LAST_UPDATES
    if is_there(folder, f"{FILE}-journal") and not is_there(folder, FILE):
        return f"{FILE}-journal"
    return HEAD_FILE if _names_a_row(folder) else ""


def _names_a_row(folder: Path) -> bool:
    """Whether the head says more than one left by a crash before the first key was made."""
    try:
        return _head(folder)[0] > 0
    except AbsentFileError:
        return False
    except (FileError, ValueError, TypeError, KeyError):
        return True


def _check_files(folder: Path, may_create: bool) -> None:
    """The key is made after the other two, so where it is, all are; a trace comes after the key.

    SQLite would follow links and wait for pipes: they are refused.
    """
    schema.refuse_other_files(folder, FILE)
    if is_there(folder, KEY_FILE):
        for name in (FILE, HEAD_FILE):
            if not is_there(folder, name):
                raise LedgerError(f"{name} is missing from the hospital's folder, and its key {KEY_FILE} is there.")
        return
    if (found := trace(folder)) and not is_there(folder, KEY_FILE):
        raise LedgerError(
            f"{KEY_FILE} is missing from the hospital's folder, and {found} says that there was a ledger: bring its "
            f"files back from a backup. Only who knows that nothing was ever charged here may remove {found}."
        )
    if not may_create:
        raise LedgerError(f"{folder} holds no ledger: {KEY_FILE} is not there.")
    create(folder, FILE)


def _connect(path: Path) -> sqlite3.Connection:
    """With SQLite's rollback journal: a change to WAL does not wait for other processes, it fails."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", timeout=BUSY_TIMEOUT_S, uri=True, isolation_level=None
    )
    try:
        connection.execute("PRAGMA synchronous = EXTRA")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _begun(connection: sqlite3.Connection, folder: Path) -> LedgerKey:
    """In a transaction: the key, made with tables and head where this ledger was never used."""
    connection.execute("BEGIN IMMEDIATE")
    tables = schema.is_there(connection, FILE)
    if is_there(folder, KEY_FILE):
        if not tables:
            raise LedgerError(f"{FILE} holds no ledger, and its key {KEY_FILE} is there.")
        return _marked(folder, ledger_keys.load(folder / KEY_FILE))
    if not tables:
        for table in schema.TABLES:
            connection.execute(table)
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")
    return _marked(folder, _first_key(connection, folder))


def _marked(folder: Path, key: LedgerKey) -> LedgerKey:
    """The key, once the marker is this ledger's; made where a crash, or an earlier version, left none."""
    marker = if_there(read, folder, MARKER_FILE, LARGEST_HEAD_BYTES)
    if marker is None:
        write_durably(folder / MARKER_FILE, key.marker().encode())
    elif marker != key.marker().encode():
        raise LedgerError(f"the ledger of privacy spending was changed: {MARKER_FILE} is not of its key {KEY_FILE}.")
    return key


def _first_key(connection: sqlite3.Connection, folder: Path) -> LedgerKey:
    if is_there(folder, KEY_FILE):
        return ledger_keys.load(folder / KEY_FILE)
    if connection.execute("SELECT count(*) FROM entries").fetchone()[0]:
        raise LedgerError(f"{KEY_FILE} is missing from the hospital's folder, and {FILE} has entries.")
    key = ledger_keys.new()
    write_head(connection, folder, key)
    ledger_keys.save(key, folder / KEY_FILE)
    return key


def write_head(connection: sqlite3.Connection, folder: Path, key: LedgerKey) -> None:
    """Name the newest row. In a transaction, so that no other is written meanwhile."""
    newest = connection.execute("SELECT number, seal FROM entries ORDER BY number DESC LIMIT 1").fetchone()
    number, last = newest or (0, START)
    head = {"number": number, "last": last, "seal": key.head(number, last)}
    write_durably(folder / HEAD_FILE, json.dumps(head).encode())
