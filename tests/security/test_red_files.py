"""A ledger in somebody else's run folder: what SQLite would do with it, and does not."""

from __future__ import annotations

import sqlite3
import struct
from pathlib import Path

import pytest
from typer.testing import CliRunner

from client._ledger_file import FILE
from client.ledger import Charge, Ledger
from common.errors import LedgerError
from common.privacy.release import Release
from experiments.cli import cli

ENDS_A_NAME = bytes.fromhex("d9d505f920a163d7")
ENDLESS = """CREATE VIEW entries AS WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted)
SELECT n AS number, 'charge' AS kind, '' AS at, '' AS study, '' AS title, 1 AS round, 'patient' AS unit, 1.0 AS delta,
'[]' AS releases, '' AS patients, '' AS seal FROM counted"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run with one hospital, charged once."""
    place = tmp_path / "run" / "hospitals" / "a"
    place.mkdir(parents=True)
    spend(place)
    return place


def spend(place: Path) -> None:
    Ledger(place).spend(Charge("ab" * 32, "t", 1, "patient", 1e-5, (Release(1.0, 1.0, 1),), ("p", "q"), None))


def a_journal(database: Path, names: Path | None) -> bytes:
    """One that is to be played back: of no page, and of a further journal elsewhere."""
    page = struct.unpack(">H", database.read_bytes()[16:18])[0]
    pages = database.stat().st_size // page
    head = (ENDS_A_NAME + struct.pack(">5I", 0, 1, pages, 512, page)).ljust(512, b"\0")
    if names is None:
        return head
    name = str(names).encode()
    return (
        head
        + struct.pack(">I", 0x40000000 // page + 1)
        + name
        + struct.pack(">2I", len(name), sum(name))
        + ENDS_A_NAME
    )


def test_a_journal_in_a_strangers_run_deletes_no_file_elsewhere(folder: Path, tmp_path: Path) -> None:
    """SQLite plays it back and deletes the file that it names."""
    thesis = tmp_path / "thesis.txt"
    thesis.write_text("years of work")
    (folder / f"{FILE}-journal").write_bytes(a_journal(folder / FILE, thesis))
    said = CliRunner().invoke(cli, ["privacy", "ledger", str(tmp_path / "run")])
    assert thesis.read_text() == "years of work"
    assert said.exit_code == 1 and "names a file elsewhere" in " ".join(said.output.split())


def test_a_journal_of_the_ledgers_own_is_played_back_as_after_a_crash(folder: Path) -> None:
    (folder / f"{FILE}-journal").write_bytes(a_journal(folder / FILE, None))
    assert Ledger(folder).contents().fault is None
    assert not (folder / f"{FILE}-journal").exists()


@pytest.mark.parametrize("ending", ["-journal", "-wal", "-shm"])
def test_no_link_beside_a_ledger_is_followed(folder: Path, tmp_path: Path, ending: str) -> None:
    (tmp_path / "other").write_text("x")
    (folder / f"{FILE}{ending}").symlink_to(tmp_path / "other")
    with pytest.raises(LedgerError):
        spend(folder)
    assert (tmp_path / "other").read_text() == "x" and (folder / f"{FILE}{ending}").is_symlink()


def test_a_database_with_another_kind_of_journal_is_no_ledger(folder: Path) -> None:
    with sqlite3.connect(folder / FILE) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    with pytest.raises(LedgerError, match="no ledger"):
        spend(folder)


@pytest.mark.parametrize("statement", [ENDLESS, "CREATE TABLE entries (number INTEGER)"])
def test_what_only_goes_by_a_tables_name_is_not_read(folder: Path, statement: str) -> None:
    """The view has no last row: it was sorted until the memory was full."""
    with sqlite3.connect(folder / FILE) as connection:
        for verb in ("update", "delete"):
            connection.execute(f"DROP TRIGGER entries_refuse_{verb}")
        connection.execute("DROP TABLE entries")
        connection.execute(statement)
    connection.close()
    with pytest.raises(LedgerError, match="that no ledger has"):
        Ledger(folder).contents()
