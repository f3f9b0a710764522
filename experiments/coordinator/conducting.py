"""One job after the other, each until its study is at its end, through every end of a program on the way.

A server app that is gone without a word is begun again where its run stopped, at once the first time, then with
growing pauses, and not without bound. All that is known stands in `queue/`: whoever starts again after this process
was killed ends what Flower still takes for running, and goes on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from common.errors import EngineError, FileError, StudyError, WardroundError
from experiments.coordinator import attempts
from experiments.coordinator.attempts import Attempt
from experiments.coordinator.endings import ending
from experiments.coordinator.job_queue import ENDS, RUNNING, Job, JobQueue, Standing
from experiments.coordinator.link import Link
from experiments.coordinator.node_keys import NodeKeys
from experiments.coordinator.settings import JobSettings

LOG = logging.getLogger("wardround.supervisor")
POLL_S = 0.3
PAUSES_S = (0.0, 2.0, 5.0, 15.0, 30.0, 60.0)
ASK_FLOWER_EVERY_S = 10.0
STARTING_S = 300.0
"""Longest from `flwr run` until a server app conducts it; a SuperExec that was killed is back long before."""
STOPPED_BY_HAND = "it was stopped with `wardround stop`"


@dataclass
class Conducting:
    """What serves the queue. now: seconds since the epoch, which outlive this process."""

    folder: Path
    link: Link
    settings: JobSettings
    queue: JobQueue
    given_up: Event = field(default_factory=Event)
    now: Callable[[], float] = time.time
    _passed_over: set[str] = field(default_factory=set)
    _waiting_for_room: set[str] = field(default_factory=set)

    def serve(self) -> None:
        """Until `given_up`. Whatever fails on the way, as a SuperLink that is just started again, is tried again."""
        keys, prepared = NodeKeys(self.folder, self.link.flower), False
        while not self.given_up.wait(POLL_S):
            try:
                if not prepared:
                    self.link.await_listening(self.given_up)
                    if not self.link.is_new:
                        attempts.end_unfinished(self.link)
                    prepared = True
                keys.bring_in_line()
                self._step()
            except (WardroundError, OSError) as error:
                LOG.warning("the jobs could not be served: %s", error)
                self.given_up.wait(PAUSES_S[1])
            except Exception:  # a thread that ends would leave everybody waiting, without a word
                LOG.exception("the jobs could not be served")
                self.given_up.wait(PAUSES_S[3])

    def _step(self) -> None:
        """Bring the oldest job that is not over to its end, or as far as this process lives."""
        for job_id in self.queue.ids():
            try:
                job = self.queue.job(job_id)
                standing = self.queue.standing(job)
            except (FileError, StudyError) as error:
                self._pass_over(job_id, error)
                continue
            if not standing.is_over:
                self._conduct(job, standing)
                return

    def _pass_over(self, job_id: str, error: Exception) -> None:
        """A job that is being written is whole the next time; one that is damaged must not hold up the others."""
        if job_id not in self._passed_over and isinstance(error, FileError):
            self._passed_over.add(job_id)
            LOG.error("job %s is passed over: %s", job_id, error)

    def _conduct(self, job: Job, standing: Standing) -> None:
        while not self.given_up.is_set() and not standing.is_over:
            if self.queue.is_to_stop(job):
                standing = self._over(job, standing, "stopped", STOPPED_BY_HAND, 1)
            elif self.now() < standing.next_at or self._awaits_room(job):
                self.given_up.wait(POLL_S)
            else:
                standing = self._attempt(job, standing)

    def _awaits_room(self, job: Job) -> bool:
        """A full disk would end every attempt, and is no fault of the study."""
        lacks = attempts.lacks_room(job)
        if lacks and job.id not in self._waiting_for_room:
            LOG.warning("job %s (%s) waits: the disk of %s is full", job.id, job.name, job.folder)
        (self._waiting_for_room.add if lacks else self._waiting_for_room.discard)(job.id)
        return lacks

    def _attempt(self, job: Job, standing: Standing) -> Standing:
        """One run at Flower, to its end. A job that was running when this process was killed is begun again."""
        if self._ended_before(job, standing):
            return self._finish(job, standing)
        began = (*standing.attempts, datetime.now(UTC).isoformat(timespec="seconds"))
        try:
            attempt = attempts.begin(job, self.link, standing.run_id)
        except EngineError as error:
            if not self.link.is_up():
                raise
            return self._crashed(job, replace(standing, attempts=began), str(error))
        standing = replace(standing, state=RUNNING, run_id=attempt.run_id, attempts=began, reason="")
        self._keep(job, standing)
        LOG.info("job %s (%s): run %s at Flower, into %s", job.id, job.name, attempt.run_id, job.folder)
        outcome = self._watched(attempt)
        if outcome == "over":
            return self._finish(job, standing)
        if outcome == "stopped":
            return self._over(job, standing, "stopped", STOPPED_BY_HAND, 1)
        return standing if outcome == "given up" else self._crashed(job, standing, outcome)

    def _ended_before(self, job: Job, standing: Standing) -> bool:
        """Whether the run came to its end while nobody watched."""
        return bool(standing.run_id) and Attempt(job, standing.run_id).seen() == "over"

    def _watched(self, attempt: Attempt) -> str:
        """ "over", "stopped", "given up", or why it is taken for crashed."""
        began = asked = self.now()
        while not self.given_up.wait(POLL_S):
            if self.queue.is_to_stop(attempt.job):
                self._end(attempt)
                return "stopped"
            self._end_waiting(attempt.job)
            seen = attempt.seen()
            if seen == "over":
                return "over"
            if seen == "crashed":
                return "its server app ended without a word"
            if seen == "starting" and self.now() > asked + ASK_FLOWER_EVERY_S:
                asked = self.now()
                if self.now() > began + STARTING_S:
                    self._end(attempt)
                    return f"no server app began within {STARTING_S:g} s"
                said = self._ended_at_flower(attempt)
                if said is not None and attempt.seen() == "starting":
                    return said
        return "given up"

    def _end_waiting(self, running: Job) -> None:
        """Jobs that are to stop before it is their turn."""
        for job_id in self.queue.ids():
            with suppress(FileError, StudyError):
                job = self.queue.job(job_id)
                if job.id != running.id and self.queue.is_to_stop(job):
                    standing = self.queue.standing(job)
                    if not standing.is_over:
                        self._over(job, standing, "stopped", STOPPED_BY_HAND, 1)

    def _ended_at_flower(self, attempt: Attempt) -> str | None:
        try:
            return attempts.ended_at_flower(attempt, self.link)
        except EngineError as error:
            LOG.info("the SuperLink could not be asked: %s", error)
            return None

    def _end(self, attempt: Attempt) -> None:
        attempts.stop(attempt.run_id, self.link)
        deadline = self.now() + PAUSES_S[3]
        while attempt.seen() == "running" and self.now() < deadline:
            time.sleep(POLL_S)
        attempts.end_app(attempt)

    def _crashed(self, job: Job, standing: Standing, why: str) -> Standing:
        """Begin again after a pause, unless it crashed too often."""
        done = attempts.rounds_done(job)
        limits = self.settings
        count = 1 if done > standing.rounds_done else standing.in_vain + 1
        recent = [one for one in standing.attempts if self._age_s(one) < limits.within_s]
        if len(recent) > limits.restarts or count > limits.restarts_without_progress:
            times = f"{count} times after round {done}" if len(recent) <= limits.restarts else f"{len(recent)} times"
            return self._over(job, standing, "failed", f"it was given up; it crashed {times}: {why}", 1)
        pause_s = PAUSES_S[min(count, len(PAUSES_S)) - 1]
        LOG.warning("job %s (%s): %s; it goes on after round %s in %g s", job.id, job.name, why, done, pause_s)
        standing = replace(standing, reason=why, rounds_done=done, in_vain=count, next_at=self.now() + pause_s)
        self._keep(job, standing)
        return standing

    def _finish(self, job: Job, standing: Standing) -> Standing:
        """As the run's folder says."""
        state, reason = attempts.end_of(job)
        code = 1
        if state == "completed":
            _, code = ending(job)
        return self._over(job, standing, state if state in ENDS else "failed", reason, code)

    def _over(self, job: Job, standing: Standing, state: str, reason: str, code: int) -> Standing:
        done = attempts.rounds_done(job)
        standing = replace(standing, state=state, reason=reason, code=code, rounds_done=done, next_at=0.0)
        self._keep(job, standing)
        LOG.info("job %s (%s) is %s%s", job.id, job.name, state, f": {reason}" if reason else "")
        return standing

    def _keep(self, job: Job, standing: Standing) -> None:
        """On the disk when this returns, however long that is full: a run that is under way must be known."""
        said = False
        while True:
            try:
                return self.queue.keep(job, standing)
            except (FileError, OSError) as error:
                if not said:
                    LOG.warning("how job %s stands cannot be written, which is waited for: %s", job.id, error)
                said = True
                if self.given_up.wait(PAUSES_S[1]):
                    raise

    def _age_s(self, began: str) -> float:
        try:
            return self.now() - datetime.fromisoformat(began).timestamp()
        except ValueError:
            return 0.0
