"""What a coordinator's folder says of programs, nodes and jobs.

Nodes are asked of the SuperLink, which takes a while: in a thread of its own, now and then, and the page says when.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic, time
from typing import Any

from common.errors import WardroundError
from experiments.coordinator.job_queue import Job, JobQueue, Standing
from experiments.coordinator.standing import standing_of

LOG = logging.getLogger("wardround.pages")
ASK_AGAIN_S = 10.0
NOT_LOOKED_AT_S = 60.0
"""Nobody asks a SuperLink for a page that nobody has open."""


@dataclass(frozen=True)
class Told:
    """What `wardround status` says. at: when, seconds since 1970. fault: why it does not."""

    at: float = 0.0
    found: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""


class LookedAt:
    """A coordinator's folder, looked at again for as long as somebody has its page open."""

    def __init__(self, folder: Path, closing: Event) -> None:
        self.folder, self._closing = folder, closing
        self.queue = JobQueue(folder)
        self._told, self._lock = Told(), Lock()
        self._wanted_at, self._thread = 0.0, Thread(target=self._look_on, name="standing", daemon=True)
        self._thread.start()

    def told(self) -> Told:
        """The newest; nothing yet where it was never asked."""
        self._wanted_at = monotonic()
        with self._lock:
            return self._told

    def jobs(self) -> list[tuple[Job, Standing]]:
        """The newest first. Raises WardroundError where one is damaged."""
        return [(job, self.queue.standing(job)) for job in reversed(self.queue.jobs())]

    def version(self) -> str:
        """Another one after every change."""
        self._wanted_at = monotonic()
        try:
            jobs = [(job.id, standing, self.queue.is_to_stop(job)) for job, standing in self.jobs()]
        except WardroundError as error:
            return str(error)
        with self._lock:
            return f"{jobs} {self._told.found} {self._told.fault}"

    def _look_on(self) -> None:
        while not self._closing.is_set():
            if self._told.at == 0.0 or monotonic() - self._wanted_at < NOT_LOOKED_AT_S:
                told = self._look()
                with self._lock:
                    self._told = told
            self._closing.wait(ASK_AGAIN_S)

    def _look(self) -> Told:
        try:
            return Told(time(), standing_of(self.folder))
        except WardroundError as error:
            return Told(time(), {}, str(error))
        except Exception as error:
            LOG.exception("the standing of a coordinator")
            return Told(time(), {}, f"it cannot be asked ({type(error).__name__}); this program's terminal says why")
