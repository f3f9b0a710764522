"""How long looks at a network may take: whoever waits says it once, and every method that looks often heeds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from time import monotonic

from common.errors import OutOfTimeError

_end: ContextVar[float] = ContextVar("when looks at a network must end", default=inf)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """While the block lasts, looks that begin after so many seconds raise OutOfTimeError; a limit around it holds."""
    token = _end.set(min(_end.get(), monotonic() + seconds))
    try:
        yield
    finally:
        _end.reset(token)


def demand_time() -> None:
    """Raise OutOfTimeError where the seconds are over."""
    if monotonic() > _end.get():
        raise OutOfTimeError("the seconds did not suffice (--seconds).")
