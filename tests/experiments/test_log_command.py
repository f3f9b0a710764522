"""`wardround log`: what is said of a hospital's log, and the code it ends with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from client.audit_log import note
from common.sums import identity

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    for number in (1, 2, 3):
        note(folder, "answered", leg="train.round", study="ab" * 32, round=number, bytes_in=12_345, reason="budget")
    return folder


def test_a_whole_log_is_shown_in_words_and_ends_with_0(own: Path, wardround: Command) -> None:
    code, said = wardround("log", "show", "--folder", str(own), "--last", "2")
    assert code == 0
    assert "round 1" not in said and "round 2" in said and "round 3" in said
    assert "study abababab" in said and "in 12,345 B" in said and "reason budget" in said
    assert "The chain of 3 lines is whole" in said


def test_a_changed_line_is_named_and_ends_with_1(own: Path, wardround: Command) -> None:
    log = own / "log.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"round":2', b'"round":5'))
    for command in ("verify", "show"):
        code, said = wardround("log", command, "--folder", str(own))
        assert code == 1 and "line 2 was changed" in said


def test_a_hash_that_was_written_down_is_looked_for(own: Path, wardround: Command) -> None:
    second = json.loads((own / "log.jsonl").read_text().splitlines()[1])["hash"]
    assert wardround("log", "verify", "--folder", str(own), "--until", second)[0] == 0
    code, said = wardround("log", "verify", "--folder", str(own), "--until", "0" * 64)
    assert code == 1 and "No line has the hash" in said
    code, said = wardround("log", "verify", "--folder", str(own), "--until", "xyz")
    assert code == 1 and "hexadecimal" in said


def test_a_signed_statement_is_compared_with_the_log(own: Path, tmp_path: Path, wardround: Command) -> None:
    identity.create(own)
    statement = tmp_path / "statement.json"
    assert wardround("log", "sign", "--folder", str(own), "--out", str(statement))[0] == 0
    code, said = wardround("log", "verify", "--folder", str(own), "--signed", str(statement))
    assert code == 0 and "up to line 3" in said
    statement.write_text(statement.read_text().replace('"count": 3', '"count": 2'))
    code, said = wardround("log", "verify", "--folder", str(own), "--signed", str(statement))
    assert code == 1 and "not signed by the key" in said


def test_a_folder_without_a_log_is_said(tmp_path: Path, wardround: Command) -> None:
    code, said = wardround("log", "verify", "--folder", str(tmp_path))
    assert code == 1 and "holds no log.jsonl" in said
