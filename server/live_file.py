"""`live.json`: where a run is at this moment, for whoever looks at its folder from another program.

`rounds.jsonl` says what was; only the coordinator's own process knows who was asked and has not replied. It is
written by a thread of its own, twice a second at most, so that no round waits for it. Its time of writing goes on for
as long as the process lives: where that stands still, the run was ended without a word.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event as Signal
from threading import RLock, Thread
from time import time
from typing import Any, Literal

from common.data.names import SiteId
from common.errors import WardroundError
from common.files.json_files import write_json
from server.progress import (
    Event,
    HospitalDropped,
    HospitalJoined,
    HospitalReplied,
    HospitalsAsked,
    HospitalsRefuse,
    Progress,
    RoundFinished,
    RoundStarted,
    RunFinished,
    RunStarted,
)

FILE = "live.json"
SHORTEST_PAUSE_S, HEARTBEAT_S = 0.5, 10.0
MOST_SITES = 512
"""Of more hospitals those are written that somebody would look for: dropped, then asked."""
LONGEST_REASON = 400
State = Literal["dropped", "asked", "replied", "waiting", "idle"]
ORDER: tuple[State, ...] = ("dropped", "asked", "replied", "waiting", "idle")
LOG = logging.getLogger("wardround.live")


@dataclass
class LiveSite:
    """since: when it was asked, replied or was dropped, seconds since 1970. seconds, bytes: of its last reply."""

    state: State = "waiting"
    since: float = 0.0
    leg: str = ""
    seconds: float | None = None
    bytes: int | None = None
    reason: str = ""


@dataclass
class LiveRun:
    """What `live.json` says, changed by `hear` alone."""

    clock: Callable[[], float] = time
    phase: str = "starting"
    stage: str = ""
    round: int = 0
    rounds: int = 0
    begun: float = 0.0
    since: float = 0.0
    sites: dict[SiteId, LiveSite] = field(default_factory=dict)
    refused: dict[SiteId, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.begun = self.since = self.clock()

    def hear(self, event: Event) -> None:
        """Take in one event."""
        now = self.clock()
        match event:
            case HospitalJoined():
                self.sites[event.site] = LiveSite(since=now)
            case HospitalsRefuse():
                self.refused = {site: why[:LONGEST_REASON] for site, why in event.refused.items()}
            case RunStarted():
                self.refused = {}
                self.phase, self.since = "training", now
                self.rounds, self.round = event.rounds, event.rounds_done
                self.sites = {site: LiveSite(since=now) for site in event.sites}
            case RoundStarted():
                self.round, self.since, self.stage = event.round, now, ""
                self.sites = {name: self._for_round(name, event, now) for name in self.sites}
            case HospitalsAsked():
                self.stage = event.stage
                for site in event.sites:
                    self._change(site, "asked", now, leg=event.leg)
            case HospitalReplied():
                self._change(event.site, "replied", now, seconds=event.seconds, bytes=event.bytes)
            case HospitalDropped():
                self._change(event.site, "dropped", now, reason=event.reason[:LONGEST_REASON])
            case RoundFinished():
                self.since = now
                if event.record.get("round") == self.rounds:
                    self.phase = "evaluating"
            case RunFinished():
                self.phase, self.since = "over", now

    def table(self) -> dict[str, Any]:
        """For JSON."""
        kept = sorted(self.sites.items(), key=lambda one: ORDER.index(one[1].state))[:MOST_SITES]
        keys = ("phase", "stage", "round", "rounds", "begun", "since")
        counts = {state: sum(one.state == state for one in self.sites.values()) for state in ORDER}
        return {
            "version": 1,
            "at": self.clock(),
            **{key: getattr(self, key) for key in keys},
            "counts": counts,
            "refused": dict(sorted(self.refused.items())[:MOST_SITES]),
            "sites": {name: asdict(site) for name, site in sorted(kept)},
        }

    def _for_round(self, name: SiteId, event: RoundStarted, now: float) -> LiveSite:
        before = self.sites[name]
        state: State = "waiting" if name in event.selected else "idle"
        return LiveSite(state, now, "", before.seconds, before.bytes)

    def _change(self, site: SiteId, state: State, now: float, **values: Any) -> None:
        one = self.sites.setdefault(site, LiveSite())
        one.state, one.since = state, now
        for name, value in values.items():
            setattr(one, name, value)


class LiveFile:
    """Writes `live.json` of a folder; a disk that does not take it is told to the log once, and holds up nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._run = folder, LiveRun()
        self._lock, self._changed = RLock(), Signal()
        self._is_over = self._has_failed = False
        self._pause = Signal()
        self._thread = Thread(target=self._write_on, name="live file", daemon=True)
        self._thread.start()

    def hear(self, event: Event) -> None:
        """A subscriber of `Progress`."""
        with self._lock:
            self._run.hear(event)
        self._changed.set()

    def close(self) -> None:
        """Write the last state, and end."""
        self._is_over = True
        self._pause.set()
        self._changed.set()
        self._thread.join()

    def _write_on(self) -> None:
        while not self._is_over:
            self._changed.wait(HEARTBEAT_S)
            self._changed.clear()
            self._write()
            self._pause.wait(SHORTEST_PAUSE_S)
        self._write()

    def _write(self) -> None:
        with self._lock:
            table = self._run.table()
        try:
            write_json(self._folder, FILE, table)
        except (WardroundError, ValueError) as error:
            if not self._has_failed:
                LOG.warning("%s is not written: %s", FILE, error)
            self._has_failed = True


@contextmanager
def kept_live(folder: Path, progress: Progress) -> Iterator[None]:
    """While the block runs, `live.json` says where the run is."""
    file = LiveFile(folder)
    progress.subscribe(file.hear)
    try:
        yield
    finally:
        progress.unsubscribe(file.hear)
        file.close()
