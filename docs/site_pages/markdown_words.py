"""Texts of the program as Markdown, which were written for a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells, or nothing where it has no rows."""
    if not rows:
        return ""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cell(text: str) -> str:
    """On one line; a bar and a bracket of HTML are letters. In code they are so already, where the site is made."""
    return _outside_code(" ".join(text.split()), lambda words: _escaped(words).replace("|", "\\|"))


def prose(text: str) -> str:
    """As it reads in a terminal: what would be HTML or emphasis is said as it is; code stays code."""
    return _outside_code(text, _escaped)


def code(text: str) -> str:
    """In code, in a table too."""
    return f"`{text}`"


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else change(part) for part in parts)


def _escaped(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([*_\[\]])", r"\\\1", text)
