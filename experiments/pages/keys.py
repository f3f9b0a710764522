"""Who may see a page: whoever was shown its link in the terminal that started it.

The link holds a random key behind its `#`, which a browser sends to nobody; the page's script exchanges it for a
cookie and takes it out of the address. Without scripts the key is pasted into a form. Cookies know no ports, so every
other program on this machine that a browser visits would be sent ours, were it not bound to a path: the pages lie
under a random word, the room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from hmac import compare_digest
from secrets import token_urlsafe
from time import monotonic

MOST_SESSIONS = 32
MOST_WRONG_KEYS, WRONG_KEYS_WITHIN_S = 8, 60.0


@dataclass(frozen=True)
class Session:
    """One browser. proof: what every form of its pages brings along, so that no other site's form counts."""

    cookie: str
    proof: str


@dataclass
class Keys:
    """The key of one start of the program, and the browsers that brought it."""

    clock: Callable[[], float] = monotonic
    key: str = field(default_factory=lambda: token_urlsafe(32))
    room: str = field(default_factory=lambda: token_urlsafe(12))
    _sessions: dict[str, Session] = field(default_factory=dict)
    _wrong: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_WRONG_KEYS))

    @property
    def is_closed(self) -> bool:
        """Whether so many wrong keys came of late that somebody seems to guess."""
        while self._wrong and self.clock() - self._wrong[0] > WRONG_KEYS_WITHIN_S:
            self._wrong.popleft()
        return len(self._wrong) >= MOST_WRONG_KEYS

    def enter(self, key: str) -> Session | None:
        """A new session for the right key; None for a wrong one.

        The right one is always taken: nobody guesses 256 bits, and wrong ones must not keep its owner out.
        """
        if not compare_digest(key.strip().encode(), self.key.encode()):
            self._wrong.append(self.clock())
            return None
        session = Session(token_urlsafe(32), token_urlsafe(32))
        self._sessions[session.cookie] = session
        while len(self._sessions) > MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return session

    def session_of(self, cookie: str) -> Session | None:
        """The session of a cookie's value."""
        return self._sessions.get(cookie)


def is_proof(session: Session, given: str) -> bool:
    """Whether a form was made for this session."""
    return compare_digest(given.encode(), session.proof.encode())
