"""One line of the ledger, as a value and as the columns that are stored and authenticated."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from common.privacy.release import Release, Unit

COLUMNS = ("number", "kind", "at", "study", "title", "round", "unit", "delta", "releases", "patients")


@dataclass(frozen=True)
class LedgerEntry:
    """A charge, or a charge that was refused and counts for nothing.

    number: from 1. at: ISO 8601, UTC. study: SHA-256 of the study as JSON, hexadecimal. delta: the study's own.
    patients: name of the stored set of patients, hexadecimal; empty where refused.
    """

    number: int
    kind: Literal["charge", "refused"]
    at: str
    study: str
    title: str
    round: int
    unit: Unit
    delta: float
    releases: tuple[Release, ...]
    patients: str

    def row(self) -> tuple[Any, ...]:
        """The values of COLUMNS."""
        releases = json.dumps([asdict(release) for release in self.releases], sort_keys=True)
        columns = vars(self) | {"releases": releases}
        return tuple(columns[name] for name in COLUMNS)


def from_row(row: Sequence[Any]) -> LedgerEntry:
    """An entry from a row whose code was found right."""
    columns = dict(zip(COLUMNS, row, strict=True))
    releases = tuple(Release(**release) for release in json.loads(columns["releases"]))
    return LedgerEntry(**columns | {"releases": releases})
