"""Arrays by name in safetensors files, in folders that others may have prepared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from common.errors import FileError
from common.files.access import LARGEST_BYTES, read, write
from common.files.json_files import json_of

SUFFIX = ".safetensors"
Tensors = dict[str, NDArray[Any]]
LARGEST_HEADER_BYTES = 1 << 24
LENGTH_BYTES = 8
BROKEN = (SafetensorError, LookupError, ValueError, TypeError, OverflowError, MemoryError, RecursionError)


@dataclass(frozen=True)
class TensorFile:
    """What a file holds. words: its metadata."""

    tensors: Tensors
    words: Mapping[str, str]


def read_tensors(folder: Path, name: str, largest_bytes: int = LARGEST_BYTES) -> TensorFile:
    """A file below `folder`. Raises FileError where it is absent, no safetensors file, or of numbers unknown here."""
    data, path = read(folder, name, largest_bytes), folder / name
    words = _words(data, path)
    try:
        return TensorFile(load(data), words)
    except BROKEN as error:
        raise FileError(path, "is not a whole safetensors file") from error


def write_tensors(
    folder: Path,
    name: str,
    tensors: Mapping[str, NDArray[Any]],
    words: Mapping[str, str] | None = None,
    durable: bool = False,
) -> Path:
    """Write a file below `folder`, whole or not at all."""
    whole = {key: np.ascontiguousarray(tensor) for key, tensor in tensors.items()}
    return write(folder, name, save(whole, dict(words) if words else None), durable)


def _words(data: bytes, path: Path) -> dict[str, str]:
    length = int.from_bytes(data[:LENGTH_BYTES], "little")
    if len(data) < LENGTH_BYTES or length > min(len(data) - LENGTH_BYTES, LARGEST_HEADER_BYTES):
        raise FileError(path, "is not a whole safetensors file")
    header = json_of(data[LENGTH_BYTES : LENGTH_BYTES + length], path)
    words = header.get("__metadata__") if isinstance(header, dict) else None
    return {str(key): str(word) for key, word in words.items()} if isinstance(words, dict) else {}
