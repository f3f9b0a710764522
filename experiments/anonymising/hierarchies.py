"""What words mean, from a TOML file: their order, or a table a column, and in it each group with its members.

    severity = ["mild", "moderate", "severe"]

    [pain]
    angina = ["typical", "atypical"]
    "no angina" = ["none", "other"]

A member may be a group itself; a word or group is a member once.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import StudyError
from common.files.access import read_text

LARGEST_BYTES = 1 << 22


@dataclass(frozen=True)
class Meanings:
    """By column. groups: of each word or group the group above it. orders: words from the lowest to the highest."""

    groups: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    orders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """All that it is about."""
        return (*self.groups, *self.orders)


def read_meanings(path: Path) -> Meanings:
    """Raises StudyError where it says no such thing."""
    try:
        found = tomllib.loads(read_text(path.parent, path.name, LARGEST_BYTES))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise StudyError(f"{path.name} is no TOML: {error}.") from None
    orders = {column: _order(column, said) for column, said in found.items() if isinstance(said, list)}
    return Meanings({column: _above(column, said) for column, said in found.items() if column not in orders}, orders)


def _order(column: str, words: list[object]) -> tuple[str, ...]:
    if not words or not all(isinstance(word, str) and word for word in words) or len(set(words)) < len(words):
        raise StudyError(f"the order of {column!r} must be a list of its words, each once.")
    return tuple(str(word) for word in words)


def _above(column: str, groups: object) -> dict[str, str]:
    if not isinstance(groups, Mapping) or not groups:
        raise StudyError(f"[{column}] must hold groups, each with a list of its members.")
    above: dict[str, str] = {}
    for group, members in groups.items():
        if not isinstance(members, list) or not members or not all(isinstance(one, str) for one in members):
            raise StudyError(f"group {group!r} of [{column}] must be a list of words, its members.")
        for member in members:
            if member in above:
                raise StudyError(
                    f"{member!r} of [{column}] is in {above[member]!r} and in {group!r}; it has one group."
                )
            above[member] = group
    return above
