"""Large replies are fetched one at a time, the next one once whoever asked is done with the one before.

Those of two hospitals that end together would otherwise lie beside each other, and beside the sum that they go into.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic

PATIENCE_S = 2.0
"""Without a further piece of a reply, or after its last one: others need not wait for one that nobody takes."""
PATIENCE_WITH_WHOLE_S = 60.0
"""While whoever took a reply works with it: to add up 400 MB takes seconds on a busy machine."""


@dataclass
class Turn:
    """Of one reply. at: when its newest piece came, or it was taken. is_done: whether it was worked with, or will
    never be whole.
    """

    at: float = field(default_factory=monotonic)
    patience_s: float = PATIENCE_S
    is_done: bool = False

    def go_on(self) -> None:
        """A piece came."""
        self.at = monotonic()

    def is_taken(self) -> None:
        """Somebody has the whole, and will say when they are done with it."""
        self.at, self.patience_s = monotonic(), PATIENCE_WITH_WHOLE_S


@dataclass
class Turns:
    """Whose turn it is, and who waits with what they do when theirs comes."""

    _now: Turn | None = None
    _waiting: deque[tuple[Turn, Callable[[], None]]] = field(default_factory=deque)
    _lock: Lock = field(default_factory=Lock)

    def ask(self, turn: Turn, begin: Callable[[], None]) -> None:
        """Call `begin` when it is this one's turn, at once or from another thread."""
        with self._lock:
            self._waiting.append((turn, begin))
        self.look()

    def look(self) -> None:
        """Let the next one begin, where the one before is done or does not go on."""
        with self._lock:
            now = self._now
            is_free = now is None or now.is_done or monotonic() - now.at > now.patience_s
            if not is_free or not self._waiting:
                return
            self._now, begin = self._waiting.popleft()
            self._now.go_on()
        begin()
