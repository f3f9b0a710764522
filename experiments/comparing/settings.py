"""What differs between runs: every setting of their studies, and the program that ran them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.tracking.told import settings_of
from server.reporting.records import Run

ABSENT = "–"


@dataclass(frozen=True)
class Difference:
    """A setting's dotted name, and its value in each run, in words."""

    name: str
    values: tuple[str, ...]


def differing_settings(runs: Sequence[Run]) -> tuple[Difference, ...]:
    """By name; a setting that a run does not have is a dash."""
    flat = [_settings(run) for run in runs]
    names = sorted({name for one in flat for name in one})
    rows = [Difference(name, tuple(one.get(name, ABSENT) for one in flat)) for name in names]
    return tuple(row for row in rows if len(set(row.values)) > 1)


def _settings(run: Run) -> dict[str, str]:
    versions = {f"version of {name}": version for name, version in run.about.versions.items()}
    return {**settings_of(run.study_text), **versions}
