"""Where a run is at this moment, as its folder says: its records, and `live.json` beside them.

A run folder may come from anybody: every value is read as what it must be, or left out.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from threading import Lock
from time import time
from typing import Any, Literal, cast, get_args

from common.data.names import SiteId
from common.errors import FileError, WardroundError
from common.files.access import if_there, is_there, read_text
from common.study.federation import Federation
from server.live_file import FILE, HEARTBEAT_S, State
from server.problems import FILE as PROBLEMS
from server.reporting.folder import read_run
from server.reporting.records import About, Run
from server.reporting.values import count, number, table, text
from server.reporting.wording import duration

SILENT_AFTER_S = 4 * HEARTBEAT_S + 5
LARGEST_LIVE_BYTES = 1 << 20
WATCHED = ("about.json", "rounds.jsonl", "final.json", "roster.json", PROBLEMS, "report.html", "audit.html")
LATE_FACTOR, LATE_FROM_S = 2.0, 10.0
"""A hospital is late that takes twice as long as it usually does, and longer than this."""
Standing = Literal["starting", "running", "silent", "finishing", "completed", "stopped", "failed", "unknown"]


@dataclass(frozen=True)
class Site:
    """A hospital now. since: of its state, seconds since 1970. seconds, bytes: of its last reply."""

    state: State
    since: float
    leg: str = ""
    seconds: float | None = None
    bytes: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Live:
    """`live.json`. at: when it was written, seconds since 1970."""

    at: float
    phase: str
    stage: str
    round: int
    begun: float
    since: float
    sites: dict[SiteId, Site] = field(default_factory=dict)
    refused: dict[SiteId, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Moment:
    """A run, and where it is. now: when this was read. timeout_s: how long a round waits for a reply."""

    folder: Path
    run: Run
    live: Live | None
    now: float
    timeout_s: float
    has: frozenset[str] = frozenset()

    @property
    def standing(self) -> Standing:
        """How the run stands; "silent" where its program was ended without a word."""
        state = self.run.about.state
        if state in ("stopped", "failed"):
            return cast(Standing, state)
        if state == "completed":
            return "completed" if "report.html" in self.has or not self.is_fresh else "finishing"
        if self.live is None:
            return "unknown" if state else "starting"
        if not self.is_fresh:
            return "silent"
        return "starting" if self.live.phase == "starting" else "running"

    @property
    def is_fresh(self) -> bool:
        """Whether the run's program gave a sign of life of late."""
        return self.live is not None and self.now - self.live.at < SILENT_AFTER_S

    @property
    def round(self) -> int:
        """The round it is in, or was in last."""
        return max(self.run.rounds_done, 0 if self.live is None else self.live.round)

    def usual_s(self, site: SiteId) -> float | None:
        """How long the hospital usually takes for a round; where that is not known, the slowest other this time."""
        return self._own_usual_s(site) or self._slowest_other_s

    def _own_usual_s(self, site: SiteId) -> float | None:
        own = [one.site_seconds[site] for one in self.run.rounds[-9:] if site in one.site_seconds]
        return median(own) if own else None

    @cached_property
    def _slowest_other_s(self) -> float | None:
        others = [] if self.live is None else [one for one in self.live.sites.values() if one.state == "replied"]
        known = [one.seconds for one in others if one.seconds is not None]
        return max(known) if known else None

    def is_late(self, site: SiteId) -> bool:
        """Whether it was asked and takes far longer than it should. After the rounds nobody knows how long."""
        one = None if self.live is None or self.live.stage else self.live.sites.get(site)
        if one is None or one.state != "asked" or self.standing != "running":
            return False
        usual, waited = self.usual_s(site), self.now - one.since
        return usual is not None and waited > max(LATE_FROM_S, LATE_FACTOR * usual)

    def lateness(self, site: SiteId) -> str:
        """Since when it was asked, how long it usually takes, and what happens if it stays away."""
        one = None if self.live is None else self.live.sites.get(site)
        if one is None or self.live is None:
            return ""
        waited, own, others = self.now - one.since, self._own_usual_s(site), self._slowest_other_s
        words = f"asked {duration(max(waited, 0.0))} ago"
        if self.live.stage:
            return f"{words}, for the {self.live.stage}"
        if own is not None:
            words += f"; usually {duration(own)}"
        elif others is not None:
            words += f"; others took up to {duration(others)}"
        left = self.timeout_s - waited
        return f"{words}; dropped in {duration(left)} if it does not reply" if left > 0 else words


@dataclass
class Followed:
    """One run folder, read again when something in it changed."""

    folder: Path
    _read: tuple[object, Run, float] | None = None
    _lock: Lock = field(default_factory=Lock)

    def version(self) -> str:
        """Another one after every change."""
        return f"{stamps(self.folder, (*WATCHED, FILE))} {self._is_silent()}"

    def moment(self) -> Moment:
        """Raises WardroundError where it is no run folder."""
        signature = stamps(self.folder, WATCHED)
        with self._lock:
            if self._read is None or self._read[0] != signature:
                self._read = (signature, _run(self.folder), _timeout_s(self.folder))
            _, run, timeout_s = self._read
        has = frozenset(name for name in WATCHED if is_there(self.folder, name))
        return Moment(self.folder, run, read_live(self.folder), time(), timeout_s, has)

    def _is_silent(self) -> bool:
        stamp = _stamp(self.folder / FILE)
        return stamp is not None and time() - stamp[0] / 1e9 > SILENT_AFTER_S


def stamps(folder: Path, names: Iterable[str]) -> tuple[tuple[int, int] | None, ...]:
    """Of files and folders: others after every change."""
    return tuple(_stamp(folder / name) for name in names)


def read_live(folder: Path) -> Live | None:
    """`live.json`; None where it is absent or damaged, as where the run is older than it."""
    try:
        value = json.loads(if_there(read_text, folder, FILE, LARGEST_LIVE_BYTES) or "null")
    except (FileError, ValueError, RecursionError):
        return None
    raw = table(value)
    at = number(raw.get("at"))
    if at is None:
        return None
    return Live(
        at,
        text(raw.get("phase")),
        text(raw.get("stage")),
        count(raw.get("round")),
        number(raw.get("begun")) or at,
        number(raw.get("since")) or at,
        {name: _site(one, at) for name, one in table(raw.get("sites")).items()},
        {name: text(why) for name, why in table(raw.get("refused")).items()},
    )


def _site(value: Any, at: float) -> Site:
    raw = table(value)
    state = text(raw.get("state"))
    known = cast(State, state) if state in get_args(State) else "waiting"
    since, seconds, size = (number(raw.get(key)) for key in ("since", "seconds", "bytes"))
    return Site(
        known,
        since or at,
        text(raw.get("leg")),
        None if seconds is None or seconds < 0 else seconds,
        None if size is None else count(size),
        text(raw.get("reason")),
    )


def _run(folder: Path) -> Run:
    """A run that has written nothing yet is one too, if its program is there."""
    try:
        return read_run(folder)
    except WardroundError:
        if is_there(folder, FILE):
            return Run(folder.name, About())
        raise


def _timeout_s(folder: Path) -> float:
    try:
        study = tomllib.loads(if_there(read_text, folder, "study.toml") or "")
    except (FileError, ValueError, RecursionError):
        study = {}
    return number(table(study.get("federation")).get("round_timeout_s")) or Federation().round_timeout_s


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
