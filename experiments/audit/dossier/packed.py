"""A dossier's files, from a folder or a zip file that anybody may have made."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from common.errors import FileError
from common.files.access import names, opened, read, write_to

LARGEST_FILE_BYTES = 1 << 26
LARGEST_ZIP_BYTES = 1 << 27
MOST_BYTES = 1 << 27
"""Of all files together, unpacked: a small zip file may hold any number of zeros."""
MOST_FILES = 32
_OF_ZIP = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError, RuntimeError)
UNREADABLE = (*_OF_ZIP, OSError, OverflowError, LookupError)
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
    found: dict[str, bytes] = {}
    for name in there:
        found[name] = read(folder, name, LARGEST_FILE_BYTES)
        _check_size(folder, found)
    return found


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
        _check_size(path, found)
    return found


def _check_size(place: Path, found: Mapping[str, bytes]) -> None:
    if sum(map(len, found.values())) > MOST_BYTES:
        raise FileError(place, f"holds more than {MOST_BYTES >> 20} MiB in all; no dossier is so large")


def _check_count(place: Path, count: int) -> None:
    if count > MOST_FILES:
        raise FileError(place, f"holds {count} files; a dossier has at most {MOST_FILES}")
