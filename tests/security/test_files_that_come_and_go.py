"""A file that another process makes, removes or replaces at any moment is there or absent, and never an error.

Luck is left out of it: before every look at the file, by `os.stat` or `os.open`, it is put there, taken away, or
replaced by a link, in every order there is. What comes out must be what comes out where it lies still.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from client import _ledger_file, _ledger_schema
from client.approved_studies import APPROVED, approve_study
from client.approved_studies import digest_of as digest_of_study
from client.kept_groups import FOLDER as GROUPS
from client.kept_groups import keep_group
from client.policy import POLICY_FILE, read_policy
from client.privacy_limit import LIMIT_FILE, read_limit
from common.errors import WardroundError
from common.files import access as files
from common.files import json_files
from experiments.evidence.recorded import INDEX, messages
from server import checkpoint
from server.charges import FILE as CHARGES
from server.charges import Charges
from server.reporting.folder import read_run
from server.run_folder import ROUNDS, RunFolder

LOOKS = 4
"""One more than any reader takes; whoever reads twice finds what is there after the last."""
A_LINK_BEFORE = "is not a regular file (links in such a folder are not followed)"
A_LINK_NOW = "cannot be used: Too many levels of symbolic links"
GROUP = f"{GROUPS}/18ac3e7343f016890c510e93f935261169d9e3f565436429830faf0934f4f8e4.json"
"""SHA-256 of "d"."""
ELSEWHERE = Path(__file__)
ROUND = '{"round": 1, "selected": ["A"], "dropped": []}\n'
JOURNAL = f"{_ledger_file.FILE}-journal"
NAMES_A_FILE = bytes.fromhex("d9d505f920a163d7").decode("latin-1")
"""How SQLite's journals begin, and how one ends that names another file."""
Use = Callable[[Path], Any]


def report(folder: Path) -> tuple[Any, ...]:
    run = read_run(folder)
    return run.final, run.problems


def check_journal(folder: Path) -> None:
    _ledger_schema.refuse_other_files(folder, _ledger_file.FILE)


READERS: dict[str, tuple[str, str, Use]] = {
    "bytes": ("a", "a", lambda folder: files.if_there(files.read, folder, "a")),
    "names": ("a", "a", lambda folder: files.names(folder, "a")),
    "a table": ("a.json", '{"b": 1}', lambda folder: json_files.read_table(folder, "a.json")),
    "a policy": (POLICY_FILE, "least_in_sum = 3", read_policy),
    "a limit": (LIMIT_FILE, "epsilon = 1.0\ndelta = 1e-5", read_limit),
    "approved studies": (APPROVED, digest_of_study("{}"), lambda folder: approve_study("{}", folder, True)),
    "other studies": (APPROVED, digest_of_study("[]"), lambda folder: approve_study("{}", folder, False)),
    "a kept group": (GROUP, '[["A", "B"]]', lambda folder: keep_group(folder, "d", ["A", "C"])),
    "a ledger's own journal": (JOURNAL, "0" * 600, check_journal),
    "a journal of several databases": (JOURNAL, "0" * 600 + NAMES_A_FILE, check_journal),
    "a ledger's head": (_ledger_file.HEAD_FILE, '{"number": 2, "last": "", "seal": ""}', _ledger_file.trace),
    "rounds": (ROUNDS, ROUND, lambda folder: RunFolder(folder).read_rounds()),
    "rounds to resume": (ROUNDS, ROUND, lambda folder: RunFolder(folder).keep_rounds(1)),
    "a run's name": ("run.json", '{"run": "r"}', lambda folder: RunFolder(folder).read_json("run.json")),
    "charges": (CHARGES, '{"round": 1, "asked": ["A"]}\n', lambda folder: Charges(folder).lines()),
    "a checkpoint": (checkpoint.FILE, "damaged", checkpoint.load),
    "recorded messages": (INDEX, "", lambda folder: list(messages(folder))),
    "a report": ("final.json", '{"sites": {}}', report),
}


def outcome(use: Use, folder: Path) -> str:
    try:
        found = repr(use(folder))
    except WardroundError as error:
        found = f"{type(error).__name__}: {error}"
    return found.replace(str(folder), "").replace(A_LINK_NOW, A_LINK_BEFORE)


def put(path: Path, state: str, content: str) -> None:
    path.unlink(missing_ok=True)
    if state == "file":
        path.write_bytes(content.encode("latin-1"))
    elif state == "link":
        path.symlink_to(ELSEWHERE)


@pytest.fixture
def restless(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Before each look at `path` it is put into the next of the states; after the last it stays."""
    whole_stat, whole_open = os.stat, os.open

    def begin(path: Path, content: str, states: Sequence[str]) -> None:
        left = list(states)

        def before(look: Callable[..., Any]) -> Callable[..., Any]:
            def looked(name: Any, *arguments: Any, **named: Any) -> Any:
                if str(name) == path.name and named.get("dir_fd") is not None and left:
                    with monkeypatch.context() as still:
                        still.setattr(os, "stat", whole_stat)
                        still.setattr(os, "open", whole_open)
                        put(path, left.pop(0), content)
                return look(name, *arguments, **named)

            return looked

        monkeypatch.setattr(os, "stat", before(whole_stat))
        monkeypatch.setattr(os, "open", before(whole_open))

    yield begin
    monkeypatch.undo()


def fresh(folder: Path, name: str) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / name).parent.mkdir(parents=True)
    (folder / "about.json").write_text("{}")
    return folder / name


@pytest.mark.parametrize("reader", READERS)
def test_what_comes_and_goes_is_there_or_absent_or_a_link_that_is_refused(
    reader: str, restless: Callable[..., None], tmp_path: Path
) -> None:
    name, content, use = READERS[reader]
    folder = tmp_path / "folder"
    at_rest = {}
    for state in ("file", "absent", "link"):
        put(fresh(folder, name), state, content)
        at_rest[state] = outcome(use, folder)
    assert at_rest["link"] != at_rest["absent"]
    for states in product(("file", "absent", "link"), repeat=LOOKS):
        restless(fresh(folder, name), content, states)
        assert outcome(use, folder) in {at_rest[state] for state in states}, states
