"""A file written whole or not at all, on the disk when the call returns, for its owner's eyes only."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from stat import S_IMODE


def write_durably(path: Path, data: bytes) -> None:
    """All of `data` or what was there before, whatever happens. Raises OSError where it cannot be.

    Mode 0600, or that of the file before. Whose it is follows the file before or its folder, where that is allowed:
    what an administrator writes the hospital's own user must be able to read.
    """
    path = path.resolve()
    before = path.stat() if path.exists() else None
    owner = before or path.parent.stat()
    beside = path.with_name(f"{path.name}.{token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), S_IMODE(before.st_mode) if before else 0o600)
            with suppress(PermissionError):
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
