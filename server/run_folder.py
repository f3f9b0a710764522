"""The folder a run leaves behind: small JSON files, written so that a crash never leaves half of one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import FileError
from common.files import access as files
from common.files import json_files
from common.files.tensor_files import write_tensors
from common.learning.parameters import Layout
from common.sums.update import Vector

ROUNDS = "rounds.jsonl"
DROP = ("site", "reason")


@dataclass(frozen=True)
class RunFolder:
    """`runs/<study>/<time>/`; docs/studies.md says what each file holds. They are for their owner's eyes only."""

    path: Path

    def write_text(self, name: str, text: str) -> None:
        """Write a whole file or nothing of it."""
        files.write(self.path, name, text)

    def write_json(self, name: str, value: Mapping[str, Any] | Sequence[Any]) -> None:
        """Write a value as JSON. Raises ValueError for NaN: what is not known is null."""
        json_files.write_json(self.path, name, value)

    def read_json(self, name: str) -> Any:
        """The value of a JSON file, or None where it is absent. Raises FileError where it is damaged."""
        return files.if_there(json_files.read_json, self.path, name)

    def append_round(self, record: Mapping[str, Any]) -> None:
        """One more line of `rounds.jsonl`, on the disk when this returns."""
        files.append(self.path, ROUNDS, json.dumps(record, allow_nan=False, ensure_ascii=False) + "\n", durable=True)

    def read_rounds(self) -> list[dict[str, Any]]:
        """All records of `rounds.jsonl`, in order. Raises FileError where a line is damaged."""
        records = files.if_there(json_files.read_lines, self.path, ROUNDS) or []
        for record in records:
            _check(record, self.path / ROUNDS)
        return records

    def keep_rounds(self, last: int) -> None:
        """Drop the lines after round `last` and any half-written one, before a run is resumed.

        Raises FileError where there are fewer, or one that is kept is damaged: what was spent stands there.
        """
        lines = json_files.lines_of(files.if_there(files.read_text, self.path, ROUNDS) or "")
        if len(lines) < last:
            raise FileError(self.path / ROUNDS, f"holds {len(lines)} rounds, and the checkpoint is of round {last}")
        files.write(self.path, ROUNDS, "".join(f"{line}\n" for line in lines[:last]), durable=True)
        self.read_rounds()

    def write_sum(self, number: int, vectors: Sequence[NDArray[np.floating]], about: Mapping[str, Any]) -> None:
        """`traffic/sums/<round>`: the vectors of a sum, float32, and what it is of."""
        tensors = {f"vector-{index}": np.array(vector, np.float32) for index, vector in enumerate(vectors)}
        write_tensors(self.path, f"traffic/sums/{number:06d}.safetensors", tensors)
        files.write(self.path, f"traffic/sums/{number:06d}.json", json.dumps(about))

    def write_model(self, parameters: Vector, layout: Layout) -> None:
        """`model.safetensors`: every parameter under its own name, those that were frozen too."""
        tensors = {name: np.array(tensor) for name, tensor in layout.tensors(parameters).items()}
        tensors |= {name: np.array(tensor) for name, tensor in layout.frozen.items()}
        write_tensors(self.path, "model.safetensors", tensors, durable=True)


def _check(record: Mapping[str, Any], path: Path) -> None:
    """Of what later rounds and claims rest on."""
    sites, dropped = record.get("selected"), record.get("dropped")
    whole = type(record.get("round")) is int and _are_words(sites) and isinstance(dropped, list)
    if not whole or not all(isinstance(one, dict) and _are_words([*map(one.get, DROP)]) for one in dropped or []):
        raise FileError(path, "holds a line that is no round's record")


def _are_words(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)
