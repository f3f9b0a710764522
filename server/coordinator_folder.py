"""What more than one of a coordinator's programs knows of its folder: names in it, and how `server.toml` is read."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from common.errors import StudyError
from common.files.access import if_there, read_text
from common.study.spelling import unknown

SETTINGS, NODE_KEYS = "server.toml", "node-keys"
TABLES = ("front", "link", "jobs")
LARGEST_BYTES = 1 << 16


def settings_table(folder: Path, name: str) -> dict[str, Any]:
    """A table of `server.toml`, {} where it is absent. Raises StudyError where the file is none, or has others."""
    try:
        found = tomllib.loads(if_there(read_text, folder, SETTINGS, LARGEST_BYTES) or "")
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{SETTINGS} in the coordinator's folder is not TOML: {error}") from error
    for key, value in found.items():
        if isinstance(value, dict) and key not in TABLES:
            raise unknown(f"table of {SETTINGS}", key, TABLES)
    table = found.get(name, {})
    if not isinstance(table, dict):
        raise StudyError(f"{SETTINGS}: {name} must be a table.")
    return table
