"""The seconds that a page may take, and who may still use some."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic


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

    def part(self, share: float) -> Clock:
        """A clock of that share of what is left, for a section that must leave some to others."""
        return Clock(max(self.left, 0.0) * share, self.say)
