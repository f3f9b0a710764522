"""What an administrator's command leaves in a hospital's folder is the hospital's own user's, who has to read it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR, S_ISREG

ROOT = 0
OURS = ("approvals", "declined", "waiting")
"""Folders that a command may have made."""


def give_to_owner(folder: Path) -> None:
    """Where root ran the command in a folder of another user: files of root's in it become that user's.

    Links stay what they are, and so does a file with a second name, which may lie elsewhere.
    """
    owner = folder.stat()
    if os.geteuid() != ROOT or owner.st_uid == ROOT:
        return
    for path in _left(folder):
        with suppress(OSError):
            found = path.lstat()
            is_plain = S_ISDIR(found.st_mode) or (S_ISREG(found.st_mode) and found.st_nlink == 1)
            if found.st_uid == ROOT and is_plain:
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _left(folder: Path) -> Iterator[Path]:
    for pattern in ("*.lock", "log.*", *OURS):
        yield from folder.glob(pattern)
    for name in OURS:
        if not (folder / name).is_symlink():
            yield from (folder / name).glob("*.json")
