"""What hospitals on this machine wrote down for themselves: texts of incidents, cases that could not be used.

A simulation keeps its hospitals' folders in the run's. A deployed hospital's folder is its own: then there is nothing
here, and the report has numbers of incidents and counts of cases alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common import errors
from common.data.names import SiteId
from common.errors import FileError
from common.files.access import is_there, names, read_text
from common.files.json_files import read_table
from server.problems import without_stop
from server.reporting.values import numbers

FOLDER = "hospitals"
OF_A_PROCESS = ("its process", "its program", "no reply")
"""How reasons begin of which a process' own output may tell more."""
LARGEST_BYTES = 1 << 26
_HEAD = re.compile(r"^incident ([0-9a-z]{8}) at \S+: (.*)$", re.MULTILINE)
_SAID = re.compile(r"incident ([0-9a-z]{8})(?:; the hospital's own log says what happened)?")

Named = tuple[tuple[str, str], ...]
"""Names and what is said of them."""


@dataclass(frozen=True)
class Incident:
    """An error in a hospital. text: its kind and words. file: of the traceback, below the run's folder."""

    site: SiteId
    text: str
    file: str

    @property
    def is_in_our_words(self) -> bool:
        """Whether it is an error that this project raises on purpose."""
        kind = getattr(errors, self.text.partition(":")[0], None)
        return isinstance(kind, type) and issubclass(kind, errors.WardroundError)


@dataclass(frozen=True)
class KeptHere:
    """incidents: by number. By hospital quarantined: cases and why; removed: classes of the truth and how much;
    outputs: where what its process wrote is kept, if it wrote anything; tuned: scores on its test patients before and
    after it fine-tuned the model.
    """

    incidents: Mapping[str, Incident] = field(default_factory=dict)
    quarantined: Mapping[SiteId, Named] = field(default_factory=dict)
    removed: Mapping[SiteId, Named] = field(default_factory=dict)
    outputs: Mapping[SiteId, str] = field(default_factory=dict)
    tuned: Mapping[SiteId, tuple[Mapping[str, float], Mapping[str, float]]] = field(default_factory=dict)

    def explained(self, reason: str, site: SiteId = "", in_full: bool = False) -> str:
        """The reason, with what is known here of the incident that it names.

        in_full: for the screen of whoever runs the simulation, with any exception's text. Else, for files that are
        handed on, with our own words alone: a foreign exception may quote a patient's data.
        Of a process that ended or hung, the file is named that has what it wrote.
        """
        if site in self.outputs and reason.startswith(OF_A_PROCESS):
            return f"{without_stop(reason)} (see {self.outputs[site]})"
        return _SAID.sub(lambda said: self._explained(said, in_full), reason)

    def site_of(self, reason: str) -> SiteId:
        """The hospital that wrote down the incident which a reason names; "" where none here did."""
        said = _SAID.search(reason)
        known = self.incidents.get(said[1]) if said else None
        return known.site if known else ""

    def _explained(self, said: re.Match[str], in_full: bool) -> str:
        known = self.incidents.get(said[1])
        if known is None:
            return said[0]
        told = f", {without_stop(known.text)}" if in_full or known.is_in_our_words else ""
        return f"incident {said[1]}{told} (see {known.file})"


def read_kept(folder: Path, sites: Sequence[SiteId] | None = None) -> KeptHere:
    """What lies in `hospitals/` of a run's folder, of all of them or of some.

    What cannot be read is left out: it is the hospitals' own.
    """
    incidents: dict[str, Incident] = {}
    quarantined, removed, outputs, tuned = {}, {}, {}, {}
    for site in _sites(folder) if sites is None else sites:
        file = f"{FOLDER}/{site}/incidents.log"
        incidents |= {one[1]: Incident(site, one[2], file) for one in _HEAD.finditer(_text(folder, file))}
        quarantined[site] = _named(_text(folder, f"{FOLDER}/{site}/quarantined.txt"))
        removed[site] = _named(_text(folder, f"{FOLDER}/{site}/removed.txt"))
        if _text(folder, output := f"{FOLDER}/{site}/output.log"):
            outputs[site] = output
        if (scores := _tuned(folder, f"{FOLDER}/{site}/fine-tuned")) is not None:
            tuned[site] = scores
    return KeptHere(incidents, quarantined, removed, outputs, tuned)


def _tuned(folder: Path, place: str) -> tuple[Mapping[str, float], Mapping[str, float]] | None:
    """Of the last run that fine-tuned there; None where there is none, or it cannot be read."""
    try:
        for run in sorted(names(folder, place), reverse=True):
            table = read_table(folder, f"{place}/{run}/scores.json")
            before, after = numbers(table.get("before")), numbers(table.get("after"))
            return (before, after) if before and after else None
    except FileError:
        pass
    return None


def _sites(folder: Path) -> list[SiteId]:
    try:
        return names(folder, FOLDER)
    except FileError:
        return []


def _text(folder: Path, name: str) -> str:
    try:
        return read_text(folder, name, LARGEST_BYTES) if is_there(folder, name) else ""
    except FileError:
        return ""


def _named(text: str) -> Named:
    return tuple((name, why) for name, _, why in (line.partition("\t") for line in text.splitlines()) if name)
