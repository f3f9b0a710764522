"""What one sees of a run while it runs: events go in, the present state of run and hospitals comes out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean
from time import monotonic
from typing import Literal

from common.data.cases import SiteId
from server.progress import (
    Event,
    HospitalDropped,
    HospitalReplied,
    RoundFinished,
    RoundStarted,
    RunFinished,
    RunStarted,
)
from server.reporting.curves import training_mean
from server.reporting.parsing import round_of
from server.reporting.records import Round

ROUNDS_REMEMBERED_FOR_PACE = 5
SCORES_REMEMBERED = 40
SiteState = Literal["waiting", "training", "replied", "dropped", "idle"]
Phase = Literal["starting", "training", "evaluating", "over"]


@dataclass
class SiteView:
    """One hospital. seconds and bytes: of its last reply. loss and score: of its last record."""

    state: SiteState = "waiting"
    reason: str = ""
    seconds: float | None = None
    bytes: int | None = None
    loss: float | None = None
    score: float | None = None


@dataclass
class RunView:
    """The state of a run, changed by `hear` alone. loss and score: over all hospitals, as last recorded.
    collapse: what the last evaluation said of it.
    """

    clock: Callable[[], float] = monotonic
    phase: Phase = "starting"
    title: str = ""
    headline: str = "loss"
    rounds: int = 0
    rounds_done: int = 0
    round: int = 0
    sites: dict[SiteId, SiteView] = field(default_factory=dict)
    loss: float | None = None
    scores: deque[float] = field(default_factory=lambda: deque(maxlen=SCORES_REMEMBERED))
    sent: int = 0
    received: int = 0
    last: Round | None = None
    collapse: str = ""
    finish: RunFinished | None = None
    pace: deque[float] = field(default_factory=lambda: deque(maxlen=ROUNDS_REMEMBERED_FOR_PACE))
    begun: float = field(init=False)

    def __post_init__(self) -> None:
        self.begun = self.clock()

    def hear(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case RunStarted():
                self._start(event)
            case RoundStarted():
                self._start_round(event)
            case HospitalReplied():
                self._reply(event)
            case HospitalDropped():
                site = self._site(event.site)
                site.state, site.reason = "dropped", event.reason
            case RoundFinished():
                self._finish_round(round_of(dict(event.record)))
            case RunFinished():
                self.phase, self.finish = "over", event

    @property
    def score(self) -> float | None:
        """The last score over all hospitals."""
        return self.scores[-1] if self.scores else None

    @property
    def elapsed_s(self) -> float:
        """Seconds since the view was made."""
        return self.clock() - self.begun

    @property
    def remaining_s(self) -> float | None:
        """Seconds the other rounds will take at the pace of the last few; None before the first."""
        if not self.pace or self.phase != "training":
            return None
        return (self.rounds - self.rounds_done) * fmean(self.pace)

    def count(self, state: SiteState) -> int:
        """Hospitals in a state."""
        return sum(site.state == state for site in self.sites.values())

    def _site(self, site: SiteId) -> SiteView:
        return self.sites.setdefault(site, SiteView())

    def _start(self, event: RunStarted) -> None:
        self.phase, self.title, self.headline = "training", event.title, event.headline
        self.rounds, self.rounds_done, self.round = event.rounds, event.rounds_done, event.rounds_done
        self.sites = {site: SiteView() for site in event.sites}

    def _start_round(self, event: RoundStarted) -> None:
        self.round = event.round
        for name, site in self.sites.items():
            site.state, site.reason = ("training" if name in event.selected else "idle"), ""

    def _reply(self, event: HospitalReplied) -> None:
        """Hospitals that are not selected reply too, with scores alone."""
        site = self._site(event.site)
        site.seconds, site.bytes = event.seconds, event.bytes
        if site.state != "idle":
            site.state = "replied"

    def _finish_round(self, record: Round | None) -> None:
        if record is None:
            return
        self.last, self.rounds_done = record, record.number
        self.sent, self.received = self.sent + record.sent, self.received + record.received
        self.pace.append(record.seconds.get("total", 0.0))
        self.loss = training_mean(record, "loss")
        for site, scores in record.training.items():
            self._site(site).loss = scores.get("loss")
        self._take_scores(record)
        if record.number >= self.rounds:
            self.phase = "evaluating"

    def _take_scores(self, record: Round) -> None:
        if record.evaluation is None:
            return
        self.collapse = record.collapse
        for site, scores in record.evaluation.sites.items():
            self._site(site).score = scores.get(self.headline)
        pooled = record.evaluation.pooled.get(self.headline)
        if pooled is not None:
            self.scores.append(pooled)
