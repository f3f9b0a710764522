"""`wardround log`: what a hospital was asked and answered, and whether its log is as it was written."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

from client._log_chain import Line
from client._log_files import FILE, SEAL
from client.audit_log import Found, lines, verify
from client.log_signature import fault_of
from common.errors import StudyError
from common.files.access import is_there, read_all_text
from common.files.json_files import json_of, table_of

SHOWN_DIGITS = 8
ONCE = ("event", "time", "study", "run", "round", "leg", "bytes_in", "bytes_out", "peer")
UNNOTICED = (
    "What this cannot notice by itself: a whole chain and its seal written anew, or an older copy of both put back. "
    "Write down elsewhere, or give to somebody, that line {count} has the hash {last}; later `wardround log verify "
    "--until HASH` says whether it still has."
)


def shown(folder: Path, most: int) -> list[str]:
    """The last lines of a log in words, oldest first."""
    _demand_log(folder)
    return [_in_words(line) for line in deque(lines(folder), maxlen=most)]


def checked(folder: Path, until: str = "", signed: Path | None = None) -> tuple[bool, list[str]]:
    """Whether the log is as it was written, and what there is to say of it.

    until: a hash that was written down. signed: a file with a statement of `wardround log sign`.
    """
    _demand_log(folder)
    until = until.strip().lower()
    if until and (len(until) < SHOWN_DIGITS or set(until) - set("0123456789abcdef")):
        raise StudyError(f"--until takes a hash of the log, {SHOWN_DIGITS} to 64 hexadecimal digits of it.")
    found = verify(folder, until)
    said = list(_said(found, until))
    whole = found.fault is None and (not until or found.until is not None)
    if signed is not None:
        statement = table_of(json_of(read_all_text(signed), signed), signed)
        fault = fault_of(statement, folder)
        key = str(statement.get("public_key", ""))[:64]
        said.append(
            f"Not the log that {signed} is about: {fault}."
            if fault
            else f"It is the log that was signed, up to line {statement['count']}, by the key {key}: compare the key."
        )
        whole = whole and fault is None
    return whole, said


def _said(found: Found, until: str) -> Iterator[str]:
    if found.fault is not None:
        yield f"The log is not as it was written: {found.fault}. Lines before it: {found.head.count:,}, as they were."
        return
    yield f"The chain of {found.head.count:,} lines is whole."
    if found.torn:
        yield f"A crash tore the line after the last ({found.torn} bytes): the next start sets it aside and says so."
    if until and found.until is None:
        yield f"No line has the hash {until}: lines were written anew, cut off, or an older copy was put back."
    elif until:
        yield f"Line {found.until:,} has the hash that was asked for: up to it everything is as it was then."
    if found.head.count:
        yield UNNOTICED.format(count=f"{found.head.count:,}", last=found.head.last)


def _in_words(line: Line) -> str:
    facts = dict(line.facts)
    about = [str(facts.get("time", "")), str(facts.get("event", "")), str(facts.get("leg", ""))]
    about += [f"{name} {str(facts[name])[:SHOWN_DIGITS]}" for name in ("study", "run") if facts.get(name)]
    about += [f"round {facts['round']}"] if facts.get("round") else []
    about += [f"in {facts['bytes_in']:,} B"] if isinstance(facts.get("bytes_in"), int) else []
    about += [f"out {facts['bytes_out']:,} B"] if isinstance(facts.get("bytes_out"), int) else []
    about += [f"{name} {value}" for name, value in sorted(facts.items()) if name not in ONCE]
    return f"{line.number:>6}  " + "  ".join(one for one in about if one)


def _demand_log(folder: Path) -> None:
    if not any(is_there(folder, name) for name in (FILE, SEAL)):
        raise StudyError(f"{folder} holds no {FILE}: nothing was asked of this hospital yet, or all of it is gone.")
