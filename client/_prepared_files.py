"""Columns of prepared cases on the disk: a file of raw values for each, written part by part, and an index.

    DIGEST.json          written last: what is in the others, words and short columns
    DIGEST.inputs.bin    values of every case, one after the other, in the order of the cases

A file appears whole or not at all, and the same digest stands for the same bytes, so that two processes which
prepare the same cases at once do no harm. Nothing here is read without being checked against the index.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from math import prod
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from client.source import reasons
from common.data.cases import Cases, Quarantined, refuse_unlike
from common.data.columns import Column, MappedFile, Ragged, Stacked, Values
from common.errors import FileError, SourceError
from common.files.access import open_inside, writing
from common.files.json_files import read_json, write_json

FORMAT = 1
LARGEST_BYTES = 1 << 42
DAMAGED = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, MemoryError)
KINDS = "fiub"
"""Of values: real numbers, integers, truth values; words lie in the index."""


@dataclass
class _Written:
    """What a column's file holds so far: the dtype, and the shape of every case."""

    dtype: np.dtype[Any]
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


def write_prepared(folder: Path, digest: str, parts: Iterable[Cases | Quarantined]) -> None:
    """Write all parts, one in memory at a time. Raises SourceError where there is no case, or parts do not fit."""
    written: dict[str, _Written] = {}
    first: Cases | None = None
    left_out: list[Quarantined] = []
    with ExitStack() as files:
        opened: dict[str, BinaryIO] = {}
        for part in parts:
            if isinstance(part, Quarantined):
                left_out.append(part)
                continue
            left_out += part.quarantined
            if first is None:
                first = part
                for name, column in part.columns.items():
                    written[name] = _Written(column.dtype)
                    if column.dtype.kind in KINDS:
                        opened[name] = files.enter_context(writing(folder, f"{digest}.{name}.bin"))
            _refuse_unlike_columns(part, first, written)
            for name, seen in written.items():
                _append(seen, part.columns[name], opened.get(name))
    if first is None:
        raise SourceError(" ".join(["there is no usable case.", *reasons(left_out)]))
    write_json(folder, f"{digest}.json", _index(first, written, left_out))


def _append(seen: _Written, column: Column, file: BinaryIO | None) -> None:
    values = column.gather()
    if file is None:
        seen.words += [str(value) for value in values]
        return
    for value in values:
        seen.shapes.append(tuple(np.shape(value)))
        file.write(np.ascontiguousarray(value, seen.dtype).tobytes())


def _refuse_unlike_columns(part: Cases, first: Cases, written: dict[str, _Written]) -> None:
    for name, seen in written.items():
        if name not in part.columns:
            raise SourceError(f"some cases have {name} and others have not.")
        found = part.columns[name].dtype
        if found != seen.dtype and found.kind in KINDS:
            raise SourceError(f"{name} are {seen.dtype} in some cases and {found} in others.")
    refuse_unlike(part, first)


def _index(first: Cases, written: dict[str, _Written], left_out: Sequence[Quarantined]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "classes": list(first.classes),
        "prescribed": list(first.prescribed),
        "quarantined": [asdict(one) for one in left_out],
        "columns": {
            name: {"words": seen.words} if seen.words else {"dtype": seen.dtype.str, "shapes": _short(seen.shapes)}
            for name, seen in written.items()
        },
    }


def _short(shapes: list[tuple[int, ...]]) -> list[Any]:
    """[count, shape] where all are the same, else every shape."""
    return [len(shapes), shapes[0]] if len(set(shapes)) == 1 else [shapes]


def read_prepared(folder: Path, digest: str) -> Cases:
    """The cases as they were written, their large columns mapped. Raises FileError where a file is damaged."""
    index = read_json(folder, f"{digest}.json")
    try:
        columns = {name: _column(folder, digest, name, about) for name, about in index["columns"].items()}
        quarantined = tuple(Quarantined(**one) for one in index["quarantined"])
        return Cases(columns, tuple(index["classes"]), tuple(index["prescribed"]), quarantined)
    except (*DAMAGED, SourceError) as error:
        raise FileError(folder / f"{digest}.json", "is not what was written there; delete the folder") from error


def _column(folder: Path, digest: str, name: str, about: dict[str, Any]) -> Column:
    if "words" in about:
        return Stacked(np.array(about["words"], dtype=np.str_))
    dtype = np.dtype(str(about["dtype"]))
    if dtype.kind not in KINDS:
        raise ValueError(name)
    *count, shapes = about["shapes"]
    sizes = [tuple(shapes)] * int(count[0]) if count else [tuple(shape) for shape in shapes]
    file, flat = _mapped(folder, f"{digest}.{name}.bin", dtype, sum(map(prod, sizes)))
    if count:
        return Stacked(flat.reshape(len(sizes), *sizes[0]), file=file)
    ends = np.cumsum([prod(shape) for shape in sizes])[:-1]
    return Ragged(tuple(part.reshape(size) for part, size in zip(np.split(flat, ends), sizes, strict=True)), file)


def _mapped(folder: Path, name: str, dtype: np.dtype[Any], count: int) -> tuple[MappedFile | None, Values]:
    with open_inside(folder, name, LARGEST_BYTES) as file:
        if os.fstat(file.fileno()).st_size != count * dtype.itemsize:
            raise FileError(folder / name, "is not as long as it was written; delete the folder")
        if count == 0:
            return None, np.empty(0, dtype)
        pages = mmap(file.fileno(), 0, access=ACCESS_READ)
    return MappedFile(pages), np.frombuffer(pages, dtype)
