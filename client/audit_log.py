"""The log of a hospital: who asked what of which study and round, what went out, and what was refused.

`log.jsonl` in the hospital's own folder only grows. Every line holds the SHA-256 of the line before and its own, and
`log.seal.json` says how many lines there are and what the last one's hash is. So a line that was changed, removed,
put in or moved is found by `verify`, and so are lines cut off at the end. A line is on the disk before the answer
that it tells of goes out: where it cannot be written, as on a full disk, nothing goes out (`note` raises).

A crash can tear the last line. What is left of it goes to `log.torn-NUMBER-...`, the chain goes on from the last
whole line, and its next line says so. A log that has become large is set aside as `log.NUMBER.jsonl`, by the number
of its last line; the chain goes on in a new file, and `verify` reads all of them.

Nothing of a patient, no text of an error and no place of data is ever a fact. Not noticed: whatever somebody does who
can write in the folder and writes the whole chain and the seal anew, or puts an older copy of all of it back. Against
these a hash that was written down elsewhere stands, or a signed one (`client.log_signature`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from client import _log_files as files
from client._log_chain import LARGEST_LINE_BYTES, Fact, Head, Line, parsed, written
from client._log_files import FILE, SEAL
from common.errors import FileError, HospitalError, UnwrittenError
from common.files.access import create

TORN = "torn"
"""The event that says that the last line was torn."""


@dataclass(frozen=True)
class Found:
    """What a log is found to be. head: of the lines that are as they were written. fault: of the first that is not.

    unsealed: lines that a crash kept the seal from naming, 0 or 1. torn: bytes that a crash left of a line. until:
    the number of the line whose hash was asked for; None where there is none.
    """

    head: Head
    fault: str | None = None
    unsealed: int = 0
    torn: int = 0
    until: int | None = None


def note(folder: Path | None, event: str, **facts: Fact) -> None:
    """Add a line; it is on the disk when this returns. Nothing where there is no folder.

    Raises UnwrittenError where it cannot be written now, and HospitalError where the log is not as it was left: what
    must be logged must not happen then.
    """
    if folder is None:
        return
    try:
        with files.alone(folder):
            head = _add(folder, _mended(folder), event, facts)
            files.rotate(folder, head)
    except (FileError, OSError) as error:
        raise UnwrittenError(
            f"{FILE} in the hospital's folder cannot be written; nothing goes out: {error}"
        ) from error


def verify(folder: Path, until: str = "") -> Found:
    """Every line of the log, checked against the chain and its seal. Raises FileError where it cannot be read.

    until: a hash that was written down earlier, 64 digits or the first of them: up to the line that has it all is
    then as it was, whoever has written in the folder since.
    """
    with files.alone(folder):
        reading, asked = Reading(files.read_seal(folder)), 0
        for raw in files.raw_lines(folder):
            line = reading.take(raw)
            if reading.fault is not None:
                return reading.found()
            if line is not None and until and line.hash.startswith(until):
                asked = line.number
        return replace(reading.found(), until=asked or None)


@dataclass
class Reading:
    """A log while it is read from its first line on. seal: what its seal says.

    head: of the lines so far. sealed: where it was as long as the seal says. left: bytes after the last whole line.
    """

    seal: Head
    head: Head = field(default_factory=Head)
    sealed: Head = field(default_factory=Head)
    fault: str | None = None
    left: int = 0

    def take(self, raw: bytes) -> Line | None:
        """The next line, checked; None where it is none, or what a crash left of one."""
        line = parsed(raw)
        if self.left or (line is None and self.head.count >= self.seal.count):
            self.left += len(raw)
            return None
        self.fault = _fault(line, self.head)
        if line is None or self.fault is not None:
            return None
        self.head = line.head
        if self.head.count == self.seal.count:
            self.sealed = self.head
        return line

    def found(self) -> Found:
        """What the log is found to be, its last line read."""
        if self.fault is not None:
            return Found(self.head, self.fault)
        fault = _seal_fault(self.seal, self.sealed, self.head, self.left)
        return Found(self.head, fault, self.head.count - self.seal.count, self.left)


def lines(folder: Path) -> Iterator[Line]:
    """The lines that are as they were written, in order; it ends before the first that is not."""
    head = Head()
    for raw in files.raw_lines(folder):
        line = parsed(raw)
        if line is None or _fault(line, head) is not None:
            return
        head = line.head
        yield line


def _fault(line: Line | None, before: Head) -> str | None:
    """What is wrong with the line after `before`, if anything."""
    expected = before.count + 1
    if line is None:
        return f"line {expected} was changed"
    if line.number > expected:
        return f"line {expected} is not in its place: line {line.number} is there; it was removed or moved"
    if line.number < expected:
        return f"line {line.number} is there once more where line {expected} must be: it was put in or moved"
    if line.before != before.last:
        return f"line {expected} does not follow the line before it: one of the two was put in or written anew"
    return None


def _seal_fault(seal: Head, sealed: Head, head: Head, torn: int) -> str | None:
    """sealed: the head of the log where it was as long as the seal says. torn: bytes after its last whole line."""
    if head.count < seal.count:
        return f"{seal.count} lines were written, and {head.count} are left: the end was cut off"
    if sealed != seal:
        return f"line {seal.count} is not the one that {SEAL} names: lines were written anew"
    if head.count > seal.count + 1:
        return f"{SEAL} names line {seal.count} of {head.count}: it is an older copy, or lines were put in at the end"
    if torn > LARGEST_LINE_BYTES:
        return f"line {head.count + 1} is no line, and larger than one that a crash leaves: it was put in"
    return None


def _add(folder: Path, head: Head, event: str, facts: dict[str, Fact]) -> Head:
    line, after = written(head, datetime.now(UTC).isoformat(timespec="milliseconds"), event, facts)
    with files.growing(folder) as (file, size):
        files.append_durably(file, size, line)
    files.write_seal(folder, after)
    return after


def _mended(folder: Path) -> Head:
    """Where to go on from. A line that a crash left unsealed is sealed, and what it left of a line is set aside.

    Raises HospitalError where the end of the log is not the one that was sealed.
    """
    seal = files.read_seal(folder)
    after = _after(seal, files.tail(folder))
    if after is None:
        raise HospitalError(
            f"the end of {FILE} is not the one that {SEAL} names: it was changed or cut off. Nothing is answered "
            "until somebody has read `wardround log verify`, and put a copy back or moved the log away with its seal."
        )
    first = after[: after.find(b"\n") + 1]
    line = parsed(first)
    head, torn = (seal, after) if line is None or _fault(line, seal) else (line.head, after[len(first) :])
    if head != seal:
        files.write_seal(folder, head)
    return _set_aside(folder, head, torn) if torn else head


def _after(seal: Head, tail: bytes) -> bytes | None:
    """What follows the sealed line in the end of a log; None where that line is not there."""
    if not seal.count:
        return tail
    end = len(tail)
    while end > 0:
        start = tail.rfind(b"\n", 0, end - 1) + 1
        line = parsed(tail[start:end])
        if line is not None and line.head == seal:
            return tail[end:]
        end = start
    return None


def _set_aside(folder: Path, head: Head, torn: bytes) -> Head:
    """Copied before it is cut off: nothing of it is lost, whatever happens between these steps."""
    digest = sha256(torn).hexdigest()
    create(folder, f"log.torn-{head.count + 1:09d}-{digest[:8]}", torn)
    with files.growing(folder) as (file, size):
        os.ftruncate(file, size - len(torn))
        os.fsync(file)
    return _add(folder, head, TORN, {"bytes": len(torn), "sha256": digest})
