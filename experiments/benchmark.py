"""What every benchmark returns, and how it is shown: one table, its targets, and the same as JSON."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from common.files.access import write_to
from experiments.whole_tables import print_whole

WIDTH_IN_A_FILE = 160
"""A pipe has no width of its own, and a cell cut short cannot be read."""

Cell = str | float | int | None


@dataclass(frozen=True)
class Target:
    """A stated aim. ours, peer, bound: measured or published figures; target: in words; met: None if not measured."""

    name: str
    ours: float | None
    peer: float | None
    bound: float | None
    target: str
    met: bool | None


@dataclass(frozen=True)
class Measured:
    """A benchmark's outcome. rows share their keys, which are the table's columns; notes say how to read it."""

    title: str
    rows: Sequence[Mapping[str, Cell]]
    targets: Sequence[Target]
    notes: Sequence[str] = ()


Benchmark = Callable[[Console], Measured]
"""Entries in `experiments/benchmarks/` end with `benchmark: Benchmark = measure`."""


def show(measured: Measured, console: Console, json_file: Path | None) -> None:
    """Print the table and the targets; write both as JSON where a file is given."""
    if not console.is_terminal:
        console = Console(file=console.file, width=WIDTH_IN_A_FILE)
    print_whole(console, _rows(measured))
    for note in measured.notes:
        console.print(f"  {note}", style="dim", highlight=False)
    if measured.targets:
        print_whole(console, _targets(measured))
    if json_file is not None:
        write_to(json_file, json.dumps(as_json(measured), indent=1) + "\n")


def as_json(measured: Measured) -> dict[str, object]:
    """Rows, targets, notes, and when, of which commit, with what and on how busy a machine they were measured."""
    packages = ("wardround", "flwr", "torch", "numpy")
    return {
        "title": measured.title,
        "rows": [dict(row) for row in measured.rows],
        "targets": [asdict(target) for target in measured.targets],
        "notes": list(measured.notes),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
        "commit": _commit(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "settings": {name: value for name, value in os.environ.items() if _is_setting(name, value)},
        "day": datetime.now(UTC).date().isoformat(),
    }


def _is_setting(name: str, value: str) -> bool:
    """Whether it changes what a benchmark does, and is no place on this machine."""
    return name.startswith("WARDROUND_") and os.sep not in value


def _commit() -> str | None:
    """Of the source that runs, with "-dirty" where files differ from it; None where there is no repository."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return None
    asked = ("git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _rows(measured: Measured) -> Table:
    table = Table(title=measured.title, title_justify="left")
    columns = list(measured.rows[0]) if measured.rows else []
    for column in columns:
        numeric = all(isinstance(row[column], (int, float, type(None))) for row in measured.rows)
        table.add_column(column, justify="right" if numeric else "left")
    for row in measured.rows:
        table.add_row(*(spell(row[column]) for column in columns))
    return table


def _targets(measured: Measured) -> Table:
    table = Table(title="targets", title_justify="left")
    for column in ("name", "ours", "peer", "bound", "target", "met"):
        table.add_column(column)
    words = {True: "[green]yes[/]", False: "[red]no[/]", None: "not measured"}
    for target in measured.targets:
        figures = (spell(target.ours), spell(target.peer), spell(target.bound))
        table.add_row(target.name, *figures, target.target, words[target.met])
    return table


def spell(value: Cell) -> str:
    """A cell as text: four significant digits, a dash for what is not known."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else value
