"""A disk of its own for one party, which can be filled up and freed again. Linux, for root only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from common.errors import EngineError

SIZE = "96m"
FILLER = ".filler"
PIECE = bytes(1 << 12)


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """The folder, which is made where it is absent, on a file system of 96 MB."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    _do("mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "wardround-drill", str(place))
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], capture_output=True)


def fill(disk: Path) -> None:
    """To its last block; whatever is given back by others while it is full is taken as well by the next call."""
    with suppress(OSError), (disk / FILLER).open("ab", buffering=0) as file:
        while file.write(PIECE):
            pass


def free(disk: Path) -> None:
    """What `fill` took."""
    (disk / FILLER).unlink(missing_ok=True)


def reason_against() -> str:
    """Why no disk can be made here; "" where it can."""
    return "" if os.geteuid() == 0 else "a file system is mounted by root"


def _do(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise EngineError(f"{words[0]} failed: {done.stderr.strip()}")
