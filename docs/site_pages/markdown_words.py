"""Texts of the program as Markdown, which were written for a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells, or nothing where it has no rows."""
    if not rows:
        return ""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cell(text: str) -> str:
    """On one line; a bar and a bracket of HTML are letters, but in code."""
    flat = " ".join(text.split()).replace("|", "\\|")
    return prose(flat)


def prose(text: str) -> str:
    """As it reads in a terminal: what would be HTML or emphasis is said as it is; code stays code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else _escaped(part) for part in parts)


def code(text: str) -> str:
    """In code, in a table too."""
    return f"`{text}`".replace("|", "\\|")


def _escaped(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([*_\[\]])", r"\\\1", text)
