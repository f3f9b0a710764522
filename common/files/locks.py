"""A name that one process at a time may use: held by the kernel, which lets go when its holder ends, however it ends.

A file that merely exists would outlive a crash, and whoever looks before he takes is overtaken between the two.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EACCES, EAGAIN
from pathlib import Path

from common.errors import FileError
from common.files.access import appending, is_there


@contextmanager
def held(folder: Path, name: str, reason: str, busy: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the file `name` below `folder`, which is made where it is not there and stays.

    busy: called where another process holds it, which is then waited for. Without it FileError is raised at once,
    with `reason`. On a file system that knows no locks nothing is held.
    """
    with appending(folder, name) as file:
        if not _taken(file):
            if busy is None:
                raise FileError(folder, reason)
            busy()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_held(folder: Path, name: str) -> bool:
    """Whether a process holds `name` now; True where the file system knows no locks. It is asked for an instant."""
    if not is_there(folder, name):
        return False
    with appending(folder, name) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _taken(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (EACCES, EAGAIN)
    return True
