"""A connection of a hospital: who it is, what it may ask, and how long it may take.

uvicorn's own protocol on h11 carries the requests. It is given one whole head at a time, after `head.judge` has let
it pass, and exactly as many bytes of a body as that head announced: whatever comes too early ends the connection.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from server.front.access_log import note
from server.front.forwarding import DONE, HEAD, PEER
from server.front.head import END, Head, Refused, judge
from server.front.rules import MOST_HEAD_BYTES
from server.front.settings import FrontSettings
from server.front.tls import NOBODY, peer_of

LINGER_S = 1.0
"""For which what a refused peer still sends is read and dropped: a connection that is closed on unread bytes takes
the refusal with it."""


@dataclass
class Shared:
    """What all connections share. connections: by certificate, each until what it asked is answered, also where its
    hospital hung up before: whoever asks and leaves would otherwise ask without bound. received_bytes: promised by
    heads that were let pass, until then.
    """

    settings: FrontSettings
    connections: Counter[frozenset[str]] = field(default_factory=Counter)
    received_bytes: int = 0


class _Turn(Enum):
    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    REFUSED = auto()


class FrontProtocol(H11Protocol):
    """One connection, from the end of its handshake on."""

    def __init__(self, shared: Shared, **options: Any) -> None:
        super().__init__(**options)
        self._shared = shared
        self._settings = shared.settings
        self._turn = _Turn.HEAD
        self._head = bytearray()
        self._body_left = self._asked = 0
        self._is_lost = False
        self._peer = NOBODY
        self._timer: asyncio.TimerHandle | None = None
        self._must_close = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Learn who it is, and whether it may have one more connection."""
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        self._peer = peer_of(None if tls is None else tls.getpeercert())
        self.app_state = {**self.app_state, PEER: self._peer}
        self.loop.call_later(self._settings.age_s, self.close_soon)
        self._shared.connections[self._peer.uris] += 1
        self._wait(self._settings.head_s)
        if not self._peer.uris:
            self._refuse(Refused(403, "a certificate that names no node"))
        elif self._shared.connections[self._peer.uris] > self._settings.connections_each:
            self._refuse(Refused(503, "too many connections of one certificate"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back what it held."""
        self._wait(None)
        self._is_lost = True
        if not self._asked:
            self._let_go()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes in their turn."""
        if self._turn is _Turn.HEAD:
            self._take_head(data)
        elif self._turn is _Turn.BODY:
            self._take_body(data)
        elif self._turn is _Turn.ANSWER:
            note("refused", hospital=self._peer.name, why="bytes before the answer to the last request")
            self.transport.abort()

    def close_soon(self) -> None:
        """Close now if nothing is being asked, else after the answer: its certificate must be shown again."""
        self._must_close = True
        if self._turn is _Turn.HEAD and not self._head:
            self.shutdown()
        elif self.cycle is not None:
            self.cycle.keep_alive = False

    def on_response_complete(self) -> None:
        """Be ready for the next request."""
        if self._turn is _Turn.ANSWER:
            self._turn = _Turn.HEAD
        super().on_response_complete()

    def _take_head(self, data: bytes) -> None:
        if not self._head:
            self._unset_keepalive_if_required()
            self._wait(self._settings.head_s)
        before = max(0, len(self._head) - len(END))
        self._head += data
        end = self._head.find(END, before)
        if end > MOST_HEAD_BYTES or (end < 0 and len(self._head) > MOST_HEAD_BYTES):
            self._refuse(Refused(431, f"a head of more than {MOST_HEAD_BYTES} bytes"))
        elif end >= 0:
            self._begin(bytes(self._head[: end + len(END)]), bytes(self._head[end + len(END) :]))

    def _begin(self, head: bytes, rest: bytes) -> None:
        judged = judge(head[: -len(END)], self._peer.uris, self._settings.body_bytes)
        if isinstance(judged, Head):
            judged = self._room_for(judged)
        if isinstance(judged, Refused):
            self._refuse(judged)
            return
        self._head.clear()
        self._asked += 1
        self._shared.received_bytes += judged.body_bytes
        done = partial(self._done, judged.body_bytes)
        self._body_left = judged.body_bytes
        self._turn = _Turn.BODY
        self._wait(self._settings.body_s)
        self.app_state = {**self.app_state, HEAD: judged, DONE: done}
        if not self._body_left:
            self._body_ends()
        before = self.cycle
        super().data_received(head)
        if self.cycle is before:  # h11 refused it, and nobody will forward it
            done()
        if self._must_close:
            self.cycle.keep_alive = False
        if rest:
            self.data_received(rest)

    def _room_for(self, head: Head) -> Head | Refused:
        if self._shared.received_bytes + head.body_bytes > self._settings.memory_bytes:
            return Refused(503, "too much is being received at once", head.path)
        return head

    def _take_body(self, data: bytes) -> None:
        if len(data) > self._body_left:
            note("refused", hospital=self._peer.name, why="more bytes than content-length says")
            self.transport.abort()
            return
        self._body_left -= len(data)
        if not self._body_left:
            self._body_ends()
        super().data_received(data)

    def _body_ends(self) -> None:
        self._turn = _Turn.ANSWER
        self._wait(None)

    def _done(self, body_bytes: int) -> None:
        """What a request held is free: it was answered, or never will be."""
        self._shared.received_bytes -= body_bytes
        self._asked -= 1
        if self._is_lost and not self._asked:
            self._let_go()

    def _let_go(self) -> None:
        self._shared.connections[self._peer.uris] -= 1
        if not self._shared.connections[self._peer.uris]:
            del self._shared.connections[self._peer.uris]

    def _wait(self, longest_s: float | None) -> None:
        """The next step must come within so many seconds; None: no more waiting for the hospital."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if longest_s is None else self.loop.call_later(longest_s, self._too_slow)

    def _too_slow(self) -> None:
        if self._turn is _Turn.BODY:
            note("refused", hospital=self._peer.name, why="a body that came too slowly")
            self.transport.abort()
        else:
            self._refuse(Refused(408, "a head that came too slowly"))

    def _refuse(self, refused: Refused) -> None:
        """Say the status alone, and close."""
        self._turn = _Turn.REFUSED
        self._head.clear()
        self._wait(None)
        who, address = self._peer.name, self.client[0] if self.client else ""
        note("refused", hospital=who, address=address, path=refused.path, status=refused.status, why=refused.why)
        phrase = HTTPStatus(refused.status).phrase
        lines = [f"HTTP/1.1 {refused.status} {phrase}", "content-length: 0", "connection: close"]
        dates = [f"{name.decode()}: {value.decode()}" for name, value in self.server_state.default_headers]
        self.transport.write("\r\n".join([*lines, *dates, "", ""]).encode("ascii"))
        self.loop.call_later(LINGER_S, self.transport.close)
