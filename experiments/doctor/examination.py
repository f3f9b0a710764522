"""`wardround doctor`: of a hospital's folder or a coordinator's, whichever it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console

from client.node_settings import FILE
from common.files.access import is_there
from experiments.doctor import coordinator, hospital
from experiments.doctor.finding import Finding, exit_code, fail
from server.reporting.markup import visible


def examine(folder: Path, as_json: bool, console: Console) -> None:
    """Say what was found, as it is found; exit with 0, 1 or 78."""
    findings = []
    for one in _examined(folder, datetime.now(UTC)):
        findings.append(one)
        if not as_json:
            console.print(visible(one.line), markup=False, highlight=False, soft_wrap=True)
    if as_json:
        text = json.dumps({"findings": [one.table for one in findings]}, indent=1, ensure_ascii=False)
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    if code := exit_code(findings):
        raise typer.Exit(code)


def _examined(folder: Path, at: datetime) -> Iterator[Finding]:
    if not folder.is_dir():
        remedy = "Name the folder that `wardround node enrol` or `wardround consortium create` made."
        return iter([fail("folder", f"there is no folder {folder}", remedy)])
    if is_there(folder, FILE):
        return hospital.examined(folder, at)
    if coordinator.is_coordinators(folder):
        return coordinator.examined(folder, at)
    said = f"{folder} is neither a hospital's (it has no node.toml) nor a coordinator's (no server.toml)"
    return iter([fail("folder", said, "Run `wardround node enrol` or `wardround consortium create` there.")])
