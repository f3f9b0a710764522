"""Where a source's folder is, and what to say when it is not there."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from common.errors import SourceError
from common.study.spelling import nearest

LARGEST_TABLE_BYTES = 1 << 26


def existing(folder: str, default: str, remedy: str) -> Path:
    """The folder as given, or `default` under WARDROUND_DATA ("data" if not set). SourceError says the remedy."""
    path = Path(folder) if folder else Path(os.environ.get("WARDROUND_DATA", "data")) / default
    if not path.is_dir():
        raise SourceError(f"there is no folder {path}. {remedy}")
    return path


def needed(path: Path, remedy: str) -> Path:
    """The table, if a file of at most LARGEST_TABLE_BYTES. Raises SourceError with the nearest name or the remedy."""
    if not path.is_file():
        near = beside(path)
        raise SourceError(f"there is no file {path}{near}" if near else f"there is no file {path}. {remedy}")
    if path.stat().st_size > LARGEST_TABLE_BYTES:
        raise SourceError(f"{path} is larger than {LARGEST_TABLE_BYTES} bytes, the most a table may be. {remedy}")
    return path


def beside(path: Path) -> str:
    """What was meant by a file that is not there, to be added to a sentence; "" where nothing beside it is alike."""
    names = [one.name for one in path.parent.iterdir() if one.is_file()] if path.parent.is_dir() else []
    near = nearest(path.name, names)
    return f"; did you mean {near!r}?" if near else ""


def inside(folder: Path, name: str) -> Path:
    """The file `name` below the folder. Raises SourceError where a study's word for it leads out of the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or set(name) & set("\\\0"):
        raise SourceError("a study may name files inside a hospital's folder of data only; one that leads out came.")
    return folder / path
