"""All of a coordinator's programs until a signal comes: what `wardround server up` does."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from time import monotonic

from common.errors import FileError, LastingError
from common.files.access import private_folder, remove
from common.files.json_files import write_json
from common.files.locks import held
from experiments.coordinator.conducting import Conducting
from experiments.coordinator.job_queue import JobQueue
from experiments.coordinator.link import Link
from experiments.coordinator.settings import LINK, SERVING, SUPERVISOR, read_jobs, read_link
from experiments.coordinator.supervision import SupervisedProgram, end_all, end_orphans

LOG = logging.getLogger("wardround.supervisor")
LOOK_S = 0.1
SAY_EVERY_S = 5.0
ASK_LINK_EVERY_S = 10.0
DEAF_TIMES = 6
"""A SuperLink that lives and takes no connection so often in a row is killed."""


@dataclass
class Serving:
    """The programs and the thread that serves the queue, of one coordinator's folder."""

    folder: Path
    link: Link
    kept: list[SupervisedProgram]
    conducting: Conducting
    given_up: Event
    _said_at: float = field(default=float("-inf"))
    _asked_at: float = field(default_factory=monotonic)
    _deaf: int = 0
    _heard: int | None = None
    _trouble: str = ""
    _unsaid: bool = False

    def look(self) -> None:
        """Once: start again what has ended. Raises LastingError where a program says that it never will.

        A disk that is full ends nothing: what could not be written is written the next time.
        """
        try:
            self._look()
            self._trouble = ""
        except (FileError, OSError) as error:
            if str(error) != self._trouble:
                LOG.warning("the coordinator's folder cannot be written, which is waited for: %s", error)
            self._trouble = str(error)

    def _look(self) -> None:
        for one in self.kept:
            one.look()
            if one.refuses:
                raise LastingError(f"the {one.program.name} will not start as it is set up: {one.last_words()}")
        now = monotonic()
        if now > self._asked_at + ASK_LINK_EVERY_S:
            self._asked_at = now
            self._ask_link()
        if now > self._said_at + SAY_EVERY_S:
            self._said_at = now
            self.say()

    def serve(self) -> None:
        """Until `given_up`."""
        while not self.given_up.wait(LOOK_S):
            self.look()

    def say(self) -> None:
        """Write what `wardround status` shows of the programs."""
        programs = {one.program.name: {"pid": one.pid, "restarts": one.restarts} for one in self.kept}
        try:
            write_json(self.folder, SUPERVISOR, {"pid": os.getpid(), "port": self.link.port, "programs": programs})
            self._unsaid = False
        except FileError as error:  # a full disk does not end what runs
            if not self._unsaid:
                LOG.warning("`wardround status` cannot be told how it goes, which is waited for: %s", error)
            self._unsaid = True

    def _ask_link(self) -> None:
        """One that was heard and is deaf now is killed; one that starts has the time that it is given for that."""
        link = self.kept[0]
        if link.pid is None:
            return
        if self.link.is_up():
            self._deaf, self._heard = 0, link.pid
            return
        if link.pid != self._heard and link.age_s < self.link.settings.start_timeout_s:
            return
        self._deaf += 1
        if self._deaf >= DEAF_TIMES:
            LOG.warning("the SuperLink lives and takes no connection; it is killed")
            self._deaf = 0
            link.kill()


@contextmanager
def serving(folder: Path, plugins: Path | None = None) -> Iterator[Serving]:
    """All programs started; whatever happens, all are ended. plugins: a folder of modules that studies name.

    Raises FileError where another process serves the folder.
    """
    folder = private_folder(folder).resolve()
    link_settings, job_settings = read_link(folder), read_jobs(folder)
    with held(folder, SERVING, "is served by another process; one coordinator, one `wardround server up`"):
        left = end_orphans(folder)
        if left:
            LOG.warning("%s programs of a supervisor that was killed were ended", left)
        link = Link.prepared(folder, link_settings, plugins)
        given_up = Event()
        conducting = Conducting(folder, link, job_settings, JobQueue(folder), given_up)
        kept = [SupervisedProgram(program, folder / LINK) for program in link.programs()]
        served = Serving(folder, link, kept, conducting, given_up)
        thread = Thread(target=conducting.serve, name="jobs", daemon=True)
        try:
            for one in kept:
                one.start()
            link.flower.ready()
            served.say()
            thread.start()
            yield served
        finally:
            given_up.set()
            end_all(reversed(kept))
            if thread.is_alive():
                thread.join(timeout=10.0)
            link.flower.end()
            end_orphans(folder)
            remove(folder, SUPERVISOR)


def serve(folder: Path, begun: Callable[[Serving], None] = lambda _: None) -> None:
    """Until an interrupt is raised in this thread."""
    with serving(folder) as served:
        begun(served)
        served.serve()
