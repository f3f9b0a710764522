"""The files of a hospital's log: the one that grows, those that were set aside when they were large, and the seal."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from client._log_chain import LARGEST_LINE_BYTES, Head
from client.atomic_write import rename_durably, sync_folder
from common.errors import FileError
from common.files.access import appending, if_there, is_there, names, open_inside
from common.files.json_files import read_table, write_json
from common.files.locks import held

FILE, LOCK, SEAL = "log.jsonl", "log.lock", "log.seal.json"
LARGEST_BYTES = 1 << 23
"""Of one file; some 20,000 requests."""
_SET_ASIDE = re.compile(r"log\.\d{9}\.jsonl")
_TAIL_BYTES = 3 * LARGEST_LINE_BYTES


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Other processes and threads that want the log wait."""
    with held(folder, LOCK, "its log is busy", busy=lambda: None):
        yield


@contextmanager
def growing(folder: Path) -> Iterator[tuple[int, int]]:
    """The descriptor of the file that grows, and its size in bytes. A new one has its name for good."""
    is_new = not is_there(folder, FILE)
    with appending(folder, FILE) as file:
        if is_new:
            sync_folder(folder)
        yield file, os.fstat(file).st_size


def append_durably(file: int, size: int, line: bytes) -> None:
    """All of a line on the disk, or, as far as it can be had, what was there before: `size` bytes."""
    try:
        left = memoryview(line)
        while left:
            left = left[os.write(file, left) :]
        os.fsync(file)
    except OSError:
        with suppress(OSError):
            os.ftruncate(file, size)
        raise


def rotate(folder: Path, head: Head) -> None:
    """Set the file that grows aside once it is large, by the number of its last line."""
    if (if_there(_size, folder, FILE) or 0) >= LARGEST_BYTES:
        rename_durably(folder, FILE, f"log.{head.count:09d}.jsonl")


def tail(folder: Path) -> bytes:
    """The last lines of the file that grows, after those of the newest that was set aside, where it is small yet."""
    now = if_there(_end_of, folder, FILE) or b""
    before = older(folder)
    return now if len(now) == _TAIL_BYTES or not before else _end_of(folder, before[-1]) + now


def raw_lines(folder: Path) -> Iterator[bytes]:
    """Every line of all files in order, with its line feed; the last may lack it."""
    for name in [*older(folder), FILE]:
        yield from raw_lines_of(folder, name)


def raw_lines_of(folder: Path, name: str) -> Iterator[bytes]:
    """Those of one of its files; none where it is not there."""
    if is_there(folder, name):
        with open_inside(folder, name) as file:
            while line := file.readline(LARGEST_LINE_BYTES):
                yield line


def read_seal(folder: Path) -> Head:
    """How far the log was sealed; the start where it never was. Raises FileError where the seal is damaged."""
    table = read_table(folder, SEAL)
    try:
        return Head(int(table["count"]), str(table["last"])) if table else Head()
    except (LookupError, TypeError, ValueError) as error:
        raise FileError(folder / SEAL, "is damaged") from error


def write_seal(folder: Path, head: Head) -> None:
    """On the disk when this returns."""
    write_json(folder, SEAL, {"count": head.count, "last": head.last}, durable=True)


def older(folder: Path) -> list[str]:
    """Files that were set aside, the oldest first."""
    return [name for name in names(folder) if _SET_ASIDE.fullmatch(name)]


def _size(folder: Path, name: str) -> int:
    with open_inside(folder, name) as file:
        return os.fstat(file.fileno()).st_size


def _end_of(folder: Path, name: str) -> bytes:
    with open_inside(folder, name) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
        return file.read()
