"""Regular files out of a tar archive that somebody hostile may have written.

`tarfile`'s own `filter=` came with Python 3.11.4 and this runs on every 3.11, so nothing leans on it: each member
is checked as it is read, and the archive decides neither where a file goes nor who owns it nor what may be done with
it. Only the name and the bytes are taken.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from common.errors import DownloadError

# What tarfile raises on a damaged or crafted header, RecursionError for a long chain of them included.
BROKEN = (tarfile.TarError, OSError, EOFError, ValueError, LookupError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Limits:
    """What an archive may hold. members: files and folders. unpacked_bytes: of all files together."""

    members: int
    unpacked_bytes: int


def unpack(archive: Path, place: Callable[[PurePosixPath], Path | None], limits: Limits) -> None:
    """Write each regular file of an uncompressed archive to where `place` puts it; None passes it over.

    Every file is new and has the permissions of any new file. On an error, files before it are left where they are.

    Raises:
        DownloadError: for a member that is neither file nor folder, a path that leads outside, two files for one
            place, more than `limits`, or an archive that is damaged.
    """
    try:
        # "r:" alone: an archive that may also be compressed unpacks without end before its first member is seen.
        with tarfile.open(archive, "r:") as tar:
            left_bytes = limits.unpacked_bytes
            for number, member in enumerate(tar, start=1):
                _check(member)
                left_bytes -= member.size
                if number > limits.members or left_bytes < 0:
                    raise tarfile.ReadError("it holds more than it may")
                target = place(PurePosixPath(member.name)) if member.isfile() else None
                if target is not None:
                    _write(tar, member, target)
    except BROKEN as error:
        raise DownloadError(f"{archive.name} could not be unpacked safely: {_said(error)}.") from error


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    content = tar.extractfile(member)
    assert content is not None, "a regular file has content"
    with content, target.open("xb") as file:
        shutil.copyfileobj(content, file)


def _check(member: tarfile.TarInfo) -> None:
    path = PurePosixPath(member.name)
    if not (member.isdir() or (member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse())):
        raise tarfile.ReadError(f"{member.name[:80]!r} is neither a file nor a folder")
    if path.is_absolute() or ".." in path.parts or "\0" in member.name:
        raise tarfile.ReadError(f"{member.name[:80]!r} leads outside")
    if member.size < 0 or (member.isdir() and member.size):
        raise tarfile.ReadError(f"{member.name[:80]!r} has an impossible size")


def _said(error: Exception) -> str:
    return str(error) if type(error) is tarfile.ReadError else type(error).__name__
