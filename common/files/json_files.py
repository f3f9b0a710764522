"""JSON in folders that others may have prepared: read with limits and without NaN, written so that it can be read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from common.errors import FileError
from common.files.access import LARGEST_TEXT_BYTES, if_there, read_text, write


def read_json(folder: Path, name: str, largest_bytes: int = LARGEST_TEXT_BYTES) -> Any:
    """The value of a file below `folder`. Raises FileError where it is absent, no JSON, or nested too deeply."""
    return json_of(read_text(folder, name, largest_bytes), folder / name)


def read_table(folder: Path, name: str, required: bool = False) -> dict[str, Any]:
    """The table of a file below `folder`; {} where it is absent and not required. Raises FileError as `read_json`."""
    text = read_text(folder, name) if required else if_there(read_text, folder, name)
    return {} if text is None else table_of(json_of(text, folder / name), folder / name)


def readable_table(folder: Path, name: str) -> dict[str, Any]:
    """`read_table`; {} also where it is damaged: for whoever goes on without it."""
    try:
        return read_table(folder, name)
    except FileError:
        return {}


def read_lines(folder: Path, name: str) -> list[dict[str, Any]]:
    """The tables of a file that holds one a line. Raises FileError that names the line."""
    lines = lines_of(read_text(folder, name))
    return [table_of(json_of(line, where), where) for line, where in _places(lines, folder / name)]


def lines_of(text: str) -> list[str]:
    """Lines as they are written, ended by a line feed alone: in JSON, U+2028 and its like stand within a line."""
    return text.removesuffix("\n").split("\n") if text else []


def write_json(folder: Path, name: str, value: Mapping[str, Any] | Sequence[Any], durable: bool = False) -> Path:
    """Write a value below `folder`. Raises ValueError for NaN: what is not known is null."""
    return write(folder, name, json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n", durable)


def json_of(text: str | bytes, path: Path) -> Any:
    """The value of a JSON text. Raises FileError, which names `path`, where it is none."""
    try:
        return json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise FileError(path, "is not JSON, or nested too deeply") from error


def table_of(value: Any, path: Path) -> dict[str, Any]:
    """The value, if it is a table."""
    if not isinstance(value, dict):
        raise FileError(path, "does not hold a table of named values")
    return value


def _places(lines: list[str], path: Path) -> list[tuple[str, Path]]:
    return [(line, path.with_name(f"{path.name}, line {at},")) for at, line in enumerate(lines, 1) if line.strip()]


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
