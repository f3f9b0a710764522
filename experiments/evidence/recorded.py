"""What a run recorded: its messages and the sums that its server made, each checked before anything is made of it.

A run folder may come from anybody. An index names files of the folder's own and no others, and what is damaged raises
FileError, which names the file.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.data.cases import SiteId
from common.errors import FileError, StudyError, WireError
from common.files.access import if_there, names, read
from common.files.json_files import read_lines, read_table
from common.files.tensor_files import read_tensors
from common.learning.parameters import Layout
from common.study.study import Study
from common.sums.exchange import Payload
from common.sums.update import Vector
from common.wire.message_bytes import from_bytes
from common.wire.records import from_records

INDEX, SUMS, MODEL = "traffic/index.jsonl", "traffic/sums", "model.safetensors"
LARGEST = 1 << 31
MAY_CHANGE = ("title", "description", "engine", "audit", "baselines")
"""Of a study, after its run: what it computed does not depend on them, nor on where its data lie now."""
_FILE = re.compile(r"[0-9]{6,12}\.bin")
_SUM = re.compile(r"([0-9]{6,12})\.safetensors")


@dataclass(frozen=True)
class Recorded:
    """One message as it travelled."""

    site: SiteId
    to_server: bool
    kind: str
    payload: Payload
    path: Path


@dataclass(frozen=True)
class RecordedSum:
    """A sum of a round over `sites`."""

    round: int
    sites: tuple[SiteId, ...]
    vectors: tuple[Vector, ...]
    weight: float
    path: Path


def messages(folder: Path) -> Iterator[Recorded]:
    """All that have content, in order. Raises StudyError where none were recorded, FileError where one is damaged."""
    entries = if_there(read_lines, folder, INDEX)
    if entries is None:
        remedy = "run the study on engine 'inline' or 'processes' with --set federation.record_traffic=true."
        raise StudyError(f"{folder.name} recorded no traffic: {remedy}")
    for entry in entries:
        name, site, direction, kind = (entry.get(key) for key in ("file", "site", "direction", "type"))
        if not all(isinstance(word, str) for word in (name, site, direction, kind)) or not _FILE.fullmatch(str(name)):
            raise FileError(folder / INDEX, "holds a line that names no message of this run")
        path = folder / "traffic" / str(name)
        payload = _payload(read(folder, f"traffic/{name}", LARGEST), path)
        if payload is not None:
            yield Recorded(str(site), direction == "to server", str(kind), payload, path)


def _payload(data: bytes, path: Path) -> Payload | None:
    """The content; None of an error, which has none. Flower's own parser raises whatever damaged bytes lead it to."""
    try:
        message = from_bytes(data)
        return from_records(message.content, LARGEST, LARGEST) if message.has_content() else None
    except Exception as error:
        raise FileError(path, "is no message, or is damaged") from error


def sums(folder: Path) -> Iterator[RecordedSum]:
    """Those that the server made of what it could not read singly, in order. Raises FileError."""
    found = [_SUM.fullmatch(name) for name in names(folder, SUMS)]
    for match in (match for match in found if match is not None):
        name = f"{SUMS}/{match[0]}"
        tensors = read_tensors(folder, name).tensors
        about = read_table(folder, f"{SUMS}/{match[1]}.json", required=True)
        vectors = tuple(tensors[key] for key in sorted(tensors))
        sites, weight = about.get("sites", []), about.get("weight", 0.0)
        if not _are_words(sites) or not _is_number(weight) or not vectors or not all(map(_is_vector, vectors)):
            raise FileError(folder / name, "is no sum of hospitals, a weight and vectors")
        yield RecordedSum(int(match[1]), tuple(sites), vectors, float(weight), folder / name)


def final_model(folder: Path, layout: Layout) -> Vector:
    """The published model, in the order of its parameters' names. Raises StudyError where there is none."""
    file = if_there(read_tensors, folder, MODEL)
    if file is None:
        raise StudyError(f"{folder.name} has no {MODEL}: it did not complete, and cannot be audited.")
    tensors, frozen = file.tensors, {name: tensor.shape for name, tensor in layout.frozen.items()}
    if {name: tensor.shape for name, tensor in tensors.items()} != {**layout.shapes, **frozen}:
        raise FileError(folder / MODEL, "is not the model of the study in study.toml")
    vector = np.concatenate([tensors[name].reshape(-1) for name in layout.shapes]).astype(np.float32)
    if not np.isfinite(vector).all():
        raise FileError(folder / MODEL, "holds numbers that are not finite")
    return vector


def check_is_same(study: Study, sent: str, path: Path) -> None:
    """Raise FileError where the study of a recorded message is not the one of study.toml."""
    try:
        table = json.loads(sent)
        same = _computed(table) == _computed(json.loads(study.json))
    except (ValueError, TypeError, AttributeError, RecursionError):
        same = False
    if not same:
        raise FileError(path, "is a message of another study than that of study.toml")


def _computed(table: Mapping[str, Any]) -> dict[str, Any]:
    source = {key: value for key, value in dict(table["source"]).items() if key != "folder"}
    return {**{key: value for key, value in table.items() if key not in MAY_CHANGE}, "source": source}


def reject(message: Recorded, error: WireError) -> FileError:
    """What to raise for a message that failed a check."""
    return FileError(message.path, f"does not pass: {str(error).removesuffix('.')}")


def _are_words(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(word, str) for word in value)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf


def _is_vector(value: NDArray[Any]) -> bool:
    return value.ndim == 1 and value.dtype == np.float32 and bool(np.isfinite(value).all())
