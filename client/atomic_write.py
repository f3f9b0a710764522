"""A file of a hospital's own, written whole or not at all, on the disk when the call returns, for its owner alone."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE, S_ISREG

from common.files.access import FILE_MODE, writing


def write_durably(path: Path, data: bytes) -> None:
    """All of `data` or what was there before, whatever happens. Raises FileError where it cannot be.

    Mode 0600, or that of the file before. Whose it is follows the file before or its folder, where that is allowed:
    what an administrator writes the hospital's own user must be able to read. A link is replaced, not followed.
    """
    with writing(path.parent, path.name, durable=True) as file:
        file.write(data)
        before = _before(path)
        owner = before or path.parent.stat()
        with suppress(PermissionError):
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        os.fchmod(file.fileno(), S_IMODE(before.st_mode) if before else FILE_MODE)


def _before(path: Path) -> os.stat_result | None:
    with suppress(FileNotFoundError):
        found = path.lstat()
        return found if S_ISREG(found.st_mode) else None
    return None


def rename_durably(folder: Path, name: str, to: str) -> None:
    """Give a file another name in its folder, in place of what had it; on the disk when this returns."""
    (folder / name).replace(folder / to)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """What was made, renamed and removed in a folder is on the disk when this returns."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
