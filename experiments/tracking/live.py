"""A run told to a tracker as it happens, in a thread of its own: a slow or dead tracker holds up no round."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from common.study.study import Study
from experiments.running.after_run import note
from experiments.tracking.mlflow import MLflow
from experiments.tracking.tensorboard import TensorBoard
from experiments.tracking.told import Tracker, facts_of, in_a_line, scalars_of_end, scalars_of_round, settings_of
from server.app import progress
from server.progress import Event, RoundFinished, RunStarted
from server.reporting.folder import read_run
from server.reporting.parsing import round_of

LONGEST_WAIT_S = 60.0
TENSORBOARD = "tensorboard"
"""Folder of TensorBoard's files in a run folder."""


def tracker_of(study: Study, folder: Path) -> Tracker | None:
    """The one the study names; None where it names none. Raises StudyError where it is not installed."""
    if study.federation.track == "mlflow":
        return MLflow()
    return TensorBoard(folder / TENSORBOARD) if study.federation.track == "tensorboard" else None


@contextmanager
def tracked(study: Study, name: str, folder: Path) -> Iterator[None]:
    """Tell the run in the block, if its study names a tracker. What that does not take is a problem of the run."""
    tracker = tracker_of(study, folder)
    if tracker is None:
        yield
        return
    telling = _Telling(study, f"{name} {folder.name}", tracker)
    progress.subscribe(telling.hear)
    try:
        yield
    finally:
        progress.unsubscribe(telling.hear)
        if (fault := telling.finish(folder)) and folder.exists():
            note(folder, "tracking", fault)


class _Telling:
    def __init__(self, study: Study, name: str, tracker: Tracker) -> None:
        self._study, self._name, self._tracker = study, name, tracker
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._fault, self._begun = "", False
        self._thread = Thread(target=self._tell, name="tracking", daemon=True)
        self._thread.start()

    def hear(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._work.put(self._begin)
        elif isinstance(event, RoundFinished) and (one := round_of(event.record)) is not None:
            self._work.put(lambda: self._tracker.log(scalars_of_round(one)))

    def finish(self, folder: Path) -> str:
        """Tell the end, and wait for it, not for ever. Returns what went wrong, in words."""
        self._work.put(lambda: self._end(folder))
        self._work.put(None)
        self._thread.join(LONGEST_WAIT_S)
        if self._thread.is_alive():
            return f"the tracker took no answer within {LONGEST_WAIT_S:g} s; its record of this run is not whole."
        return self._fault

    def _begin(self) -> None:
        self._begun = True
        self._tracker.begin(self._study.title, self._name, settings_of(self._study.text))

    def _end(self, folder: Path) -> None:
        """Of a run that failed before its start too."""
        run = read_run(folder)
        if not self._begun:
            self._begin()
        self._tracker.log(scalars_of_end(run))
        self._tracker.end(run.about.state, facts_of(run))

    def _tell(self) -> None:
        while (step := self._work.get()) is not None:
            if self._fault:
                continue
            try:
                step()
            except Exception as error:  # noqa: BLE001 - a foreign library over a network: the run goes on
                self._fault = f"the tracker failed, {in_a_line(error)}"
