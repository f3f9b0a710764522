"""What differs between runs: every setting of their studies, and the program that ran them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.reporting.records import Run

ABSENT = "–"


@dataclass(frozen=True)
class Difference:
    """A setting's dotted name, and its value in each run, in words."""

    name: str
    values: tuple[str, ...]


def differing_settings(runs: Sequence[Run]) -> tuple[Difference, ...]:
    """By name; a setting that a run does not have is a dash."""
    flat = [dict(_settings(run)) for run in runs]
    names = sorted({name for one in flat for name in one})
    rows = [Difference(name, tuple(one.get(name, ABSENT) for one in flat)) for name in names]
    return tuple(row for row in rows if len(set(row.values)) > 1)


def _settings(run: Run) -> Iterator[tuple[str, str]]:
    try:
        table = tomllib.loads(run.study_text)
    except (ValueError, RecursionError):
        table = {}
    yield from _flat(table, "")
    yield from ((f"version of {name}", version) for name, version in run.about.versions.items())


def _flat(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if isinstance(inner, Mapping) and inner:
            yield from _flat(inner, f"{name}.")
        else:
            yield name, inner if isinstance(inner, str) else json.dumps(inner, ensure_ascii=False)
