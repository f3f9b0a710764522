"""The seconds that a page may take, and who may still use some."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from common.attribution.limit import within


@dataclass(frozen=True)
class Clock:
    """seconds: in all. say: told what is going on, in a few words. began: by a clock that never goes back."""

    seconds: float
    say: Callable[[str], None] = field(default=lambda words: None)
    began: float = field(default_factory=monotonic)

    @property
    def left(self) -> float:
        """Seconds; below zero once they are spent."""
        return self.began + self.seconds - monotonic()

    @contextmanager
    def bounded(self, least: float = 0.0) -> Iterator[None]:
        """While the block lasts, what looks often at a network ends with these seconds, or `least` more.

        Raises OutOfTimeError.
        """
        with within(max(self.left, least)):
            yield

    def part(self, share: float) -> Clock:
        """A clock of that share of what is left, for a section that must leave some to others."""
        return Clock(max(self.left, 0.0) * share, self.say)
