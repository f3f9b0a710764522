"""Arrays of an .npz file, read so that a hostile one can neither run code nor fill the memory."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import FileError, SourceError
from common.files.access import opened

LARGEST_BYTES = 1 << 33
MOST_ARRAYS = 1000
BROKEN = (
    LookupError,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    MemoryError,
    TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_npz(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """The arrays `names`; nothing is ever unpickled.

    Raises SourceError where the file is no readable .npz, lacks an array, or unpacks to more than LARGEST_BYTES.
    """
    wanted = {name: f"{name}.npy" for name in names}
    try:
        with opened(path) as raw, zipfile.ZipFile(raw) as file:
            missing = [name for name, member in wanted.items() if member not in file.namelist()]
            if missing:
                raise SourceError(f"{path.name} lacks {', '.join(missing)}.")
            if sum(file.getinfo(member).file_size for member in wanted.values()) > LARGEST_BYTES:
                raise SourceError(f"{path.name} unpacks to more than {LARGEST_BYTES} bytes.")
            for member in wanted.values():
                _check_size(file, member)
            return {name: _array(file, member) for name, member in wanted.items()}
    except (*BROKEN, FileError) as error:
        raise SourceError(f"{path.name} is not a readable .npz file.") from error


def npz_contents(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and dtype of every array, from their headers alone. Raises SourceError where there is no readable one."""
    try:
        with opened(path) as raw, zipfile.ZipFile(raw) as file:
            if len(file.namelist()) > MOST_ARRAYS:
                raise SourceError(f"{path.name} holds more than {MOST_ARRAYS} arrays.")
            members = [name for name in file.namelist() if name.endswith(".npy")]
            return {name.removesuffix(".npy"): _header(file, name) for name in members}
    except (*BROKEN, FileError) as error:
        raise SourceError(f"{path.name} is not a readable .npz file.") from error


def _header(file: zipfile.ZipFile, member: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with file.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read_header = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read_header(stream)
        return tuple(shape), dtype


def _check_size(file: zipfile.ZipFile, member: str) -> None:
    """Room is made for what an array's own header says: it must be what the archive holds of it."""
    with file.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, dtype = read_header[version](stream)
        promised = stream.tell() + prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or promised != file.getinfo(member).file_size:
            raise ValueError("the header does not fit the array")


def _array(file: zipfile.ZipFile, member: str) -> NDArray[Any]:
    with file.open(member) as stream:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
