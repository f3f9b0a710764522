"""One line of a hospital's log, and how it is chained to the line before: canonical JSON and SHA-256."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import isfinite
from typing import Any

Fact = str | int | float | bool | list[str]

START = "0" * 64
"""What the first line names as the hash of the line before."""
LONGEST_WORD = 200
"""Characters of a word that are written down; the digests and names that belong there are shorter."""
MOST_WORDS = 64
LARGEST_LINE_BYTES = 1 << 17
NUMBER, TIME, EVENT, BEFORE, HASH = "number", "time", "event", "before", "hash"
OWN = frozenset({NUMBER, TIME, EVENT, BEFORE, HASH})


@dataclass(frozen=True)
class Head:
    """How far a log has come: its number of lines, and the hash of the last."""

    count: int = 0
    last: str = START


@dataclass(frozen=True)
class Line:
    """A line whose hash is that of what it says. facts: all but its place in the chain."""

    number: int
    before: str
    hash: str
    facts: Mapping[str, Any]

    @property
    def head(self) -> Head:
        """Of the log that ends with this line."""
        return Head(self.number, self.hash)


def written(head: Head, time: str, event: str, facts: Mapping[str, Fact]) -> tuple[bytes, Head]:
    """The line that follows `head`, with its line feed, and the head after it.

    Raises ValueError for a fact that has the name of a line's own.
    """
    if not OWN.isdisjoint(facts):
        raise ValueError(f"a fact cannot be called {sorted(OWN & facts.keys())}.")
    said = {name: _shortened(value) for name, value in facts.items()}
    table = {**said, NUMBER: head.count + 1, TIME: time, EVENT: _shortened(event), BEFORE: head.last}
    own = _digest(table)
    line = _canonical({**table, HASH: own}) + b"\n"
    if len(line) > LARGEST_LINE_BYTES:
        raise ValueError("a line of the log holds too many facts.")
    return line, Head(head.count + 1, own)


def parsed(line: bytes) -> Line | None:
    """What a line says; None where it is not what was written, line feed and all."""
    try:
        table = json.loads(line)
        number, before, own = table.pop(NUMBER), table.pop(BEFORE), table.pop(HASH)
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
        return None
    if type(number) is not int or not isinstance(before, str) or not isinstance(own, str):
        return None
    whole = {**table, NUMBER: number, BEFORE: before}
    if _digest(whole) != own or _canonical({**whole, HASH: own}) + b"\n" != line:
        return None
    return Line(number, before, own, table)


def _digest(table: Mapping[str, Any]) -> str:
    return sha256(_canonical(table)).hexdigest()


def _canonical(table: Mapping[str, Any]) -> bytes:
    """The one way in which these values are written: nothing in it ends a line or steers a terminal."""
    return json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _shortened(value: Fact) -> Fact:
    if isinstance(value, str):
        return value if len(value) <= LONGEST_WORD else value[:LONGEST_WORD] + "..."
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [str(_shortened(one)) for one in value[:MOST_WORDS]]
    return value
