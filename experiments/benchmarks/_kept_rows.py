"""Rows of a long benchmark that are kept one by one: called again, it goes on with those that are not there yet."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from rich.console import Console

from common.files.access import is_there, write
from common.files.json_files import read_lines

FILE = "rows.jsonl"
CPU_S = "cpu_s"
Row = dict[str, Any]


@dataclass
class KeptRows:
    """folder: of the rows. budget_cpu_s: what all of them together may take.

    A row is found again by its names and by a digest of what it was measured with: a changed study is measured anew.
    """

    folder: Path
    budget_cpu_s: float
    console: Console
    _rows: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._rows = list(read_lines(self.folder, FILE)) if is_there(self.folder, FILE) else []
        spent = sum(float(row[CPU_S]) for row in self._rows)
        if self._rows:
            self.console.print(
                f"{len(self._rows)} rows ({spent / 60:.0f} CPU minutes) were measured before and are kept; remove "
                f"{self.folder} to measure them again.",
                style="dim",
            )
        self.console.print(f"Budget: {self.budget_cpu_s / 60:.0f} CPU minutes in all, row by row.", style="dim")

    def row(self, names: Mapping[str, str | int], setting: str, measure: Callable[[], Mapping[str, Any]]) -> Row:
        """The row of these names, measured where it is not there for this setting."""
        digest = sha256(setting.encode()).hexdigest()[:16]
        for one in self._rows:
            if one["setting"] == digest and all(one.get(name) == value for name, value in names.items()):
                return one
        begin = _cpu_s()
        found = {**names, **measure(), "setting": digest}
        row = {**found, CPU_S: _cpu_s() - begin}
        self._rows.append(row)
        write(self.folder, FILE, "".join(json.dumps(one) + "\n" for one in self._rows))
        self.console.print("  ".join(f"{name} {_shown(value)}" for name, value in row.items() if name != "setting"))
        return row

    @property
    def cpu_s(self) -> float:
        """Of all rows that are kept."""
        return sum(float(row[CPU_S]) for row in self._rows)


def mean_of(rows: Sequence[Row], name: str) -> float | None:
    """Over rows; None where there is none, or one lacks it."""
    values = [row.get(name) for row in rows]
    numbers = [float(value) for value in values if value is not None]
    return sum(numbers) / len(numbers) if numbers and len(numbers) == len(values) else None


def _cpu_s() -> float:
    """Of this process and of those it started and waited for."""
    return sum(os.times()[:4])


def _shown(value: object) -> str:
    if isinstance(value, list | dict):
        return f"of {len(value)}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
