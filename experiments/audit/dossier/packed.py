"""A dossier's files, from a folder or a zip file that anybody may have made."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from common.errors import FileError
from common.files.access import names, opened, read, write_to

LARGEST_FILE_BYTES = 1 << 26
LARGEST_ZIP_BYTES = 1 << 27
MOST_FILES = 32
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, OSError, OverflowError)
"""Whatever the standard library raises of a damaged, encrypted or hostile zip file."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The only time that a zip file of ours names: the same dossier gives the same bytes."""


def files_of(place: Path) -> dict[str, bytes]:
    """Every file by name. Raises FileError for what is none of a dossier's: folders, links, names that come twice."""
    return _of_folder(place) if place.is_dir() else _of_zip(place)


def write_zip(files: Mapping[str, bytes], path: Path) -> Path:
    """All of them in one file."""
    place = io.BytesIO()
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in sorted(files.items()):
            about = zipfile.ZipInfo(name, EPOCH)
            about.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(about, content)
    return write_to(path, place.getvalue())


def _of_folder(folder: Path) -> dict[str, bytes]:
    there = names(folder)
    _check_count(folder, len(there))
    return {name: read(folder, name, LARGEST_FILE_BYTES) for name in there}


def _of_zip(path: Path) -> dict[str, bytes]:
    try:
        with opened(path, LARGEST_ZIP_BYTES) as file, zipfile.ZipFile(file) as packed:
            return _unpacked(packed, path)
    except UNREADABLE as error:
        raise FileError(path, "is neither a folder nor a zip file that can be read whole") from error


def _unpacked(packed: zipfile.ZipFile, path: Path) -> dict[str, bytes]:
    entries = packed.infolist()
    _check_count(path, len(entries))
    found: dict[str, bytes] = {}
    for entry in entries:
        if entry.is_dir() or "/" in entry.filename or "\\" in entry.filename or entry.filename in found:
            raise FileError(path, f"holds {entry.filename[:80]!r}, a folder or a name that comes twice")
        with packed.open(entry) as file:
            found[entry.filename] = file.read(LARGEST_FILE_BYTES + 1)
        if len(found[entry.filename]) > LARGEST_FILE_BYTES:
            raise FileError(path, f"holds {entry.filename[:80]!r}, which is larger than any file of a dossier")
    return found


def _check_count(place: Path, count: int) -> None:
    if count > MOST_FILES:
        raise FileError(place, f"holds {count} files; a dossier has at most {MOST_FILES}")
