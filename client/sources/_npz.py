"""Arrays of an .npz file, read so that a hostile one can neither run code nor fill the memory."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import SourceError

LARGEST_BYTES = 1 << 33
BROKEN = (OSError, EOFError, ValueError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)


def read_npz(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """The arrays `names`; nothing is ever unpickled.

    Raises SourceError where the file is no readable .npz, lacks an array, or unpacks to more than LARGEST_BYTES.
    """
    wanted = {name: f"{name}.npy" for name in names}
    try:
        with zipfile.ZipFile(path) as file:
            missing = [name for name, member in wanted.items() if member not in file.namelist()]
            if missing:
                raise SourceError(f"{path.name} lacks {', '.join(missing)}.")
            if sum(file.getinfo(member).file_size for member in wanted.values()) > LARGEST_BYTES:
                raise SourceError(f"{path.name} unpacks to more than {LARGEST_BYTES} bytes.")
            return {name: _array(file, member) for name, member in wanted.items()}
    except BROKEN as error:
        raise SourceError(f"{path.name} is not a readable .npz file.") from error


def _array(file: zipfile.ZipFile, member: str) -> NDArray[Any]:
    with file.open(member) as stream:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
