"""What happens during a run, as events; whoever wants to show or record it subscribes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any, Literal

from common.data.names import SiteId
from server.problems import Problem

LOG = logging.getLogger("wardround.progress")

RunState = Literal["running", "completed", "stopped", "failed"]


@dataclass(frozen=True)
class HospitalJoined:
    """A hospital introduced itself and takes part. quarantined: cases that it says it could not use."""

    site: SiteId
    quarantined: int


@dataclass(frozen=True)
class HospitalsRefuse:
    """Before the first round: who refuses for a reason that time may change, and which; all others are heard."""

    refused: Mapping[SiteId, str]


@dataclass(frozen=True)
class ProblemFound:
    """Something was lost beside the rounds' replies."""

    problem: Problem


@dataclass(frozen=True)
class RunStarted:
    """All hospitals are known and the first round is near.

    rounds: of the whole study. rounds_done: above zero where a run is resumed. headline: the score shown first.
    """

    title: str
    rounds: int
    sites: tuple[SiteId, ...]
    headline: str
    rounds_done: int = 0


@dataclass(frozen=True)
class RoundStarted:
    """Round `round`, counted from 1, asks the hospitals in `selected` to train."""

    round: int
    selected: tuple[SiteId, ...]


@dataclass(frozen=True)
class HospitalsAsked:
    """One leg of an exchange goes out to `sites`: of round `round`, or of a stage after the rounds."""

    round: int
    leg: str
    sites: tuple[SiteId, ...]
    stage: str = ""


@dataclass(frozen=True)
class HospitalReplied:
    """A reply arrived. seconds: since the request went out. bytes: of the reply, as it travelled."""

    round: int
    site: SiteId
    seconds: float
    bytes: int


@dataclass(frozen=True)
class HospitalDropped:
    """What a hospital sent, or did not send, is not used in this round, and why. stage: after the rounds, of what."""

    round: int
    site: SiteId
    reason: str
    stage: str = ""


@dataclass(frozen=True)
class RoundFinished:
    """record: one line of `rounds.jsonl`."""

    record: Mapping[str, Any]


@dataclass(frozen=True)
class RunFinished:
    """The last event. reason: why the run stopped or failed; empty where it completed. folder: of the run.

    ended_early: why not all of its rounds were run, and which model is kept, as sentences; "" for nothing. collapse:
    whether its last model answers all cases alike, in a sentence; "" where it does not.
    """

    state: RunState
    reason: str
    folder: Path
    ended_early: str = ""
    collapse: str = ""


Event = (
    HospitalJoined
    | HospitalsRefuse
    | ProblemFound
    | RunStarted
    | RoundStarted
    | HospitalsAsked
    | HospitalReplied
    | HospitalDropped
    | RoundFinished
    | RunFinished
)
Subscriber = Callable[[Event], None]


class Progress:
    """Passes every event to every subscriber, one event at a time, in the order of subscription.

    Events may be published from any thread. A subscriber that raises is logged and not called again: a broken
    display must not end a run of many hours.
    """

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []
        self._lock = RLock()

    def subscribe(self, subscriber: Subscriber) -> None:
        """From now on `subscriber` is called with every event, in the publishing thread."""
        with self._lock:
            self._subscribers.append(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """It is called no more; nothing where it never was."""
        with self._lock:
            self._subscribers = [one for one in self._subscribers if one is not subscriber]

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """For what a run asks before it begins: whoever watches the run is not told of another one."""
        with self._lock:
            watching, self._subscribers = self._subscribers, []
        try:
            yield
        finally:
            with self._lock:
                self._subscribers = [*watching, *self._subscribers]

    def publish(self, event: Event) -> None:
        """Call every subscriber with `event`; returns when all have seen it."""
        with self._lock:
            for subscriber in tuple(self._subscribers):
                self._deliver(subscriber, event)

    def _deliver(self, subscriber: Subscriber, event: Event) -> None:
        try:
            subscriber(event)
        except Exception:
            LOG.exception("a subscriber failed on %s and is not called again.", type(event).__name__)
            self._subscribers.remove(subscriber)
