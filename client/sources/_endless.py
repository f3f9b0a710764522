"""Patterns of names that no computer would finish: each further wildcard is tried at every letter of a name."""

from __future__ import annotations

import re

from common.errors import StudyError

MOST_WILD, MOST_BESIDE, MOST_DEEP = 8, 2, 3
"""Fields and * in one name, beside each other without a letter between them, and `**/` in a path."""
_BESIDE = re.compile(r"(?:\{\}|[*?])+")
_WILD = re.compile(r"\{\}|\*")


def refuse_endless(pattern: str, option: str) -> None:
    """Raise StudyError where a pattern with {fields}, * and ? has too many of them to be tried."""
    parts = re.sub(r"\{[^{}]*\}", "{}", pattern).split("/")
    names = [part for part in parts if part != "**"]
    beside = (len(_WILD.findall(run)) for name in names for run in _BESIDE.findall(name))
    if (
        max((len(_WILD.findall(name)) for name in names), default=0) > MOST_WILD
        or max(beside, default=0) > MOST_BESIDE
    ):
        raise StudyError(
            f"{option} may have at most {MOST_WILD} fields and * in one name, and {MOST_BESIDE} beside each other "
            f"without a letter between them; it is {pattern!r}."
        )
    if parts.count("**") > MOST_DEEP:
        raise StudyError(f"{option} may have **/ at most {MOST_DEEP} times; it is {pattern!r}.")
