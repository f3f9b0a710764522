"""Ctrl-C, and what ends a job in a queue or with its terminal: three signals, one way to stop, none of them lost.

Python raises KeyboardInterrupt wherever the main thread happens to be. Inside a callback of a C library, gRPC's
among them, it is printed and forgotten, and the run goes on; so it is also remembered, and raised again. Inside a
library that has just told another thread of a call, and not yet begun it, it leaves that library waiting for ever; so
it is held back until the library's part is over. SIGTERM and SIGHUP would end a process on the spot, with nothing
written and its hospitals still there.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import current_thread, main_thread
from types import FrameType

Check = Callable[[], None]
OURS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """SIGTERM or SIGHUP came. It is a KeyboardInterrupt, so that whatever cleans up after that one does."""

    def __init__(self, number: int) -> None:
        super().__init__(f"it was ended by {signal.Signals(number).name}")
        self.number = number


@dataclass
class Remembered:
    """Signals that came. waiting: how many ask by `check` or `take`, so that the first one need not be raised."""

    waiting: int = 0
    _came: list[KeyboardInterrupt] = field(default_factory=list)

    def check(self) -> None:
        """Raise what came first, if anything did."""
        if self._came:
            raise self._came[0]

    def take(self) -> None:
        """As `check`, and forget all that came."""
        came, self._came = self._came, []
        if came:
            raise came[0]

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The handler of all three."""
        self._came.append(_error(number))
        if not self.waiting or len(self._came) > 1:
            _raise_now_or_later(self._came[0])

    def handle_again(self) -> None:
        """Take back the signals that a library has taken."""
        for number in OURS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self.handle)

    def keep(self, error: KeyboardInterrupt) -> None:
        """For whoever asks."""
        self._came.append(error)


_HELD_BACK = Remembered()
"""What came while blocks of the main thread, `waiting` of them, must not be interrupted."""


@contextmanager
def held_back() -> Iterator[None]:
    """What would raise in this block raises at its end: for blocks that are short, and wait for nobody for ever."""
    if current_thread() is not main_thread():
        yield
        return
    _HELD_BACK.waiting += 1
    try:
        yield
    finally:
        _HELD_BACK.waiting -= 1
        if not _HELD_BACK.waiting:
            _HELD_BACK.take()


def _raise_now_or_later(error: KeyboardInterrupt) -> None:
    """By a handler, so in the main thread."""
    if not _HELD_BACK.waiting:
        raise error
    _HELD_BACK.keep(error)


@contextmanager
def remembered_interrupt() -> Iterator[Remembered]:
    """Signals are remembered for whoever asks, in another thread too. Only the main thread receives signals."""
    found = Remembered()
    if current_thread() is not main_thread():
        yield found
        return
    with _handled(found.handle):
        yield found


@contextmanager
def interrupting_signals() -> Iterator[None]:
    """While the block lasts, all three raise where the main thread is."""
    if current_thread() is not main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        _raise_now_or_later(_error(number))

    with _handled(interrupt):
        yield


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """A signal that somebody ignores (nohup) stays ignored."""
    before = {number: signal.getsignal(number) for number in OURS}
    mine = [number for number, old in before.items() if old not in (signal.SIG_IGN, None)]
    for number in mine:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, before[number])


def _error(number: int) -> KeyboardInterrupt:
    return KeyboardInterrupt() if number == signal.SIGINT else Ended(number)
