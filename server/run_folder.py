"""The folder a run leaves behind: small JSON files, written so that a crash never leaves half of one."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from common.parameters import Layout
from common.update import Vector


@dataclass(frozen=True)
class RunFolder:
    """`runs/<study>/<time>/`; see the README for what each file holds."""

    path: Path

    def write_text(self, name: str, text: str) -> None:
        """Write a whole file or nothing of it."""
        self.path.mkdir(parents=True, exist_ok=True)
        part = self.path / f".{name}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(self.path / name)

    def write_json(self, name: str, value: Mapping[str, Any] | Sequence[Any]) -> None:
        """Write a value as JSON. Raises ValueError for NaN: what is not known is null."""
        self.write_text(name, json.dumps(value, indent=1, allow_nan=False) + "\n")

    def read_json(self, name: str) -> Any:
        """The value of a JSON file, or None where it is absent."""
        path = self.path / name
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def run_name(self, resume: bool) -> str:
        """32 hexadecimal digits that name the run to hospitals, new unless it is resumed."""
        kept = self.read_json("run.json") if resume else None
        if kept is None:
            kept = {"run": token_hex(16)}
            self.write_json("run.json", kept)
        return str(kept["run"])

    def append_round(self, record: Mapping[str, Any]) -> None:
        """One more line of `rounds.jsonl`, on the disk when this returns."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "rounds.jsonl").open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(record, allow_nan=False) + "\n")
            lines.flush()
            os.fsync(lines.fileno())

    def read_rounds(self) -> list[dict[str, Any]]:
        """All records of `rounds.jsonl`, in order."""
        path = self.path / "rounds.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def keep_rounds(self, last: int) -> None:
        """Drop the lines after round `last` and any half-written one, before a run is resumed."""
        path = self.path / "rounds.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self.write_text("rounds.jsonl", "".join(f"{line}\n" for line in lines[:last]))

    def write_sum(self, number: int, vectors: Sequence[NDArray[np.floating]], about: Mapping[str, Any]) -> None:
        """`traffic/sums/<round>`: the vectors of a sum, float32, and what it is of."""
        place = self.path / "traffic" / "sums"
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        tensors = {f"vector-{index}": np.array(vector, np.float32) for index, vector in enumerate(vectors)}
        save_file(tensors, place / f"{number:06d}.safetensors")
        (place / f"{number:06d}.json").write_text(json.dumps(about), encoding="utf-8")

    def write_model(self, parameters: Vector, layout: Layout) -> None:
        """`model.safetensors`: every trainable parameter under its own name."""
        part = self.path / ".model.safetensors.part"
        save_file({name: np.array(tensor) for name, tensor in layout.tensors(parameters).items()}, part)
        part.replace(self.path / "model.safetensors")
