"""`charged.jsonl`: every order to train that a private study sent, written before it was sent, and what cost nothing.

A hospital that was asked is one that was charged, whatever came of it: a round that failed, one cut short by a crash
and one asked for again after it have all been paid for in the hospital's own ledger. It costs nothing where the
hospital says that it refused, or that it sent the very update that it had sent for the same order before, or where
the message never went out. What a hospital does not say counts against the promise: never too little.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.cases import SiteId

FILE = "charged.jsonl"


@dataclass(frozen=True)
class Charges:
    """The file in a run's folder. A resumed run goes on writing where it ended."""

    folder: Path

    def asked(self, number: int, sites: Iterable[SiteId]) -> None:
        """Round `number` is about to be asked of these; on the disk when this returns."""
        self._append({"round": number, "asked": sorted(sites)})

    def free(self, number: int, site: SiteId, reason: str) -> None:
        """Of the newest such order this hospital was charged nothing."""
        self._append({"round": number, "free": site, "reason": reason})

    def lines(self) -> list[dict[str, Any]]:
        """All whole lines. One that a crash cut short was of an order that was never sent."""
        path = self.folder / FILE
        if not path.exists():
            return []
        found = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def _append(self, line: Mapping[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(self.folder / FILE, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "r+b") as file:
            file.write(_after_a_torn_line(file) + json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _after_a_torn_line(file: Any) -> bytes:
    """A line break where a crash left the last line without one, so that the next line is whole."""
    if not file.seek(0, os.SEEK_END):
        return b""
    file.seek(-1, os.SEEK_END)
    return b"" if file.read(1) == b"\n" else b"\n"


def charged_rounds(
    lines: Sequence[Mapping[str, Any]], records: Iterable[Mapping[str, Any]], refusals: Iterable[str]
) -> dict[SiteId, int]:
    """How often each hospital was charged.

    records: lines of rounds.jsonl, for rounds of before the charges were written down. refusals: reasons of a drop by
    which a hospital was charged nothing.
    """
    counts: dict[SiteId, int] = {}
    for line in lines:
        for site in line.get("asked", ()):
            counts[site] = counts.get(site, 0) + 1
        if "free" in line:
            counts[line["free"]] = counts.get(line["free"], 0) - 1
    written = {line.get("round") for line in lines}
    free_of_charge = set(refusals)
    for record in records:
        if record["round"] in written:
            continue
        refused = {drop["site"] for drop in record["dropped"] if drop["reason"] in free_of_charge}
        for site in set(record["selected"]) - refused:
            counts[site] = counts.get(site, 0) + 1
    return counts
