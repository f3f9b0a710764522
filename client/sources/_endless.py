"""Patterns of files' names that no computer would finish: each further wildcard is tried at every letter of a name."""

from __future__ import annotations

import re

from common.errors import StudyError

MOST_WILD, MOST_BESIDE, MOST_DEEP = 8, 2, 3
"""Wildcards in one name, beside each other without a letter between them, and `**/` in a path."""


def refuse_endless(pattern: str, option: str) -> None:
    """Raise StudyError where a pattern, * in the place of its fields, has too many wildcards to be tried."""
    parts = pattern.split("/")
    beside = (run for part in parts for run in re.findall(r"[*?]+", part.replace("**", "*") if part != "**" else ""))
    wild = (part.count("*") for part in parts if part != "**")
    if max(wild, default=0) > MOST_WILD or any(run.count("*") > MOST_BESIDE for run in beside):
        raise StudyError(
            f"{option} has too many fields and * in one name: at most {MOST_WILD}, and {MOST_BESIDE} beside each "
            f"other without a letter between them; it is {pattern!r}."
        )
    if parts.count("**") > MOST_DEEP:
        raise StudyError(f"{option} may have **/ at most {MOST_DEEP} times; it is {pattern!r}.")
