"""Groups that stand for words, from a TOML file: a table a column, and in it each group with its members.

    [pain]
    angina = ["typical", "atypical"]
    "no angina" = ["none", "other"]

A member may be a group itself; a word or group is a member once.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from common.errors import StudyError
from common.files.access import read_text

LARGEST_BYTES = 1 << 22


def read_hierarchies(path: Path) -> dict[str, dict[str, str]]:
    """By column, of each word or group the group above it. Raises StudyError where it says no such thing."""
    try:
        found = tomllib.loads(read_text(path.parent, path.name, LARGEST_BYTES))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise StudyError(f"{path.name} is no TOML: {error}.") from None
    return {column: _above(column, groups) for column, groups in found.items()}


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
