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

from common.data.names import SiteId
from common.errors import FileError
from common.files.access import append, appending, if_there, read_text

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
        found = []
        for line in (if_there(read_text, self.folder, FILE) or "").splitlines():
            try:
                found.append(_checked(json.loads(line), self.folder / FILE))
            except (ValueError, RecursionError):
                continue
        return found

    def _append(self, line: Mapping[str, Any]) -> None:
        append(self.folder, FILE, _after_a_torn_line(self.folder) + json.dumps(line) + "\n", durable=True)


def _after_a_torn_line(folder: Path) -> str:
    """A line break where a crash left the last line without one, so that the next line is whole."""
    with appending(folder, FILE) as file:
        size = os.fstat(file).st_size
        return "" if not size or os.pread(file, 1, size - 1) == b"\n" else "\n"


def _checked(line: Any, path: Path) -> dict[str, Any]:
    """A line as this file is written. Raises FileError for another: what was spent must not be guessed."""
    asked = line.get("asked", []) if isinstance(line, dict) else None
    words = isinstance(asked, list) and all(isinstance(site, str) for site in asked)
    if not words or type(line.get("round")) is not int or not isinstance(line.get("free", ""), str):
        raise FileError(path, "holds a line that is no order and no refusal")
    return dict(line)


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
