"""Values of JSON files whose content is not trusted: each reader returns its type, whatever came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LARGEST = 1e100
"""Past it a difference or a sum could overflow."""


def number(value: object) -> float | None:
    """A number up to LARGEST; None for anything else, null (an undefined score), NaN and infinity included."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        as_float = float(value)
    except OverflowError:
        return None
    return as_float if abs(as_float) <= LARGEST else None


def count(value: object) -> int:
    """A whole number of at least zero; 0 for anything else."""
    found = number(value)
    return 0 if found is None or found < 0 else int(found)


def text(value: object) -> str:
    """A word; "" for anything but text and numbers."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else ""


def table(value: object) -> Mapping[str, Any]:
    """A table; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """A list; an empty one for anything else."""
    return value if isinstance(value, list) else []


def texts(value: object) -> tuple[str, ...]:
    """A list's words."""
    return tuple(word for word in map(text, items(value)) if word)


def numbers(value: object) -> dict[str, float]:
    """A table's finite numbers by name; what is null or no number is left out."""
    found = {name: number(entry) for name, entry in table(value).items()}
    return {name: entry for name, entry in found.items() if entry is not None}


def counts(value: object) -> dict[str, int]:
    """A table's whole numbers by name."""
    return {name: count(entry) for name, entry in table(value).items()}


def name_of(value: object) -> str:
    """The name of a catalogue entry, written as a word or as a table with `name`."""
    return text(value) or text(table(value).get("name"))
