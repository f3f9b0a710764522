"""Begin something once its time has come: a thread looks for it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import Generic, TypeVar

LOOKS_EVERY_S = 0.1

Begun = TypeVar("Begun")


class Later(Generic[Begun]):
    """Calls `begin` once, as soon as `is_time` says so, or when it is asked for."""

    def __init__(self, begin: Callable[[], Begun], is_time: Callable[[], bool]) -> None:
        self._begin, self._is_time = begin, is_time
        self._enough = Event()
        self._found: Begun | None = None
        self._failed: BaseException | None = None
        self._thread = Thread(target=self._look, daemon=True)
        self._thread.start()

    def begun(self) -> Begun:
        """What `begin` gave, begun now at the latest. Raises what it raised."""
        found = self.stopped()
        if self._failed is not None:
            raise self._failed
        return self._begin() if found is None else found

    def stopped(self) -> Begun | None:
        """What was begun so far; nothing is begun after this."""
        self._enough.set()
        self._thread.join()
        return self._found

    def _look(self) -> None:
        while not self._enough.wait(LOOKS_EVERY_S):
            if self._is_time():
                try:
                    self._found = self._begin()
                except BaseException as error:  # noqa: BLE001 - told to whoever asks
                    self._failed = error
                return
