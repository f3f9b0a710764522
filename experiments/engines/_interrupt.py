"""Ctrl-C that cannot get lost.

Python raises KeyboardInterrupt wherever the main thread happens to be. Inside a callback of a C library, gRPC's
among them, it is printed and forgotten, and the run goes on; so it is also remembered, and raised again.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

Check = Callable[[], None]


@contextmanager
def remembered_interrupt() -> Iterator[Check]:
    """A check that raises KeyboardInterrupt if there ever was one. Only the main thread receives signals."""
    if current_thread() is not main_thread():
        yield lambda: None
        return
    asked = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.default_int_handler(number, frame)

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
