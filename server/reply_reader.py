"""Replies taken from a SuperLink piece by piece: checked before anything is made of them, and nobody waited for.

Flower's own grid unfolds whatever a hospital pushed: a megabyte of names would become a terabyte, and end the run. It
waits for the objects of a reply for minutes, and nobody else is heard meanwhile. And it hands over, as if it were a
reply to what was asked, any message that somebody addressed to the server.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from flwr.app import Message
from flwr.serverapp import Grid

from common.errors import WireError
from common.wire.flower_inside import AppCalls, Delivery, Run
from common.wire.message_bytes import lost_reply
from common.wire.objects import LARGEST_MESSAGE_BYTES, MOST_OBJECTS, Weighed, demand_named, demand_sound, message_of

LOG = logging.getLogger("wardround.resending")
AT_A_TIME = 32
"""Objects of one reply; then others are looked at."""
STALLED_S = 30.0
"""Without any new object of a reply: it is taken for lost, and asked for again."""
FORGOTTEN_S = 600.0


def taking(grid: Grid) -> Grid:
    """A grid whose replies are taken so, where it is Flower's own."""
    return Taking(grid, AppCalls(grid)) if AppCalls.are_of(grid) else grid


@dataclass
class _Coming:
    """A reply that was announced, and what is here of it. at: when the newest object came."""

    told: Delivery
    at: float
    objects: dict[str, bytes] = field(default_factory=dict)
    weighed: Weighed = field(default_factory=Weighed, kw_only=True)


class Taking(Grid):
    """A Grid around Flower's."""

    def __init__(self, inner: Grid, calls: AppCalls, clock: Callable[[], float] = monotonic) -> None:
        self._inner, self._calls, self._clock = inner, calls, clock
        self._coming: dict[str, _Coming] = {}
        self.largest_bytes = LARGEST_MESSAGE_BYTES
        """Of one reply."""

    def set_run(self, run: Run) -> None:
        """Take a run's identity."""
        self._inner.set_run(run)

    @property
    def run(self) -> Run:
        """The run all messages belong to."""
        return self._inner.run

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        """A message of this run."""
        return self._inner.create_message(*args, **kwargs)

    def get_node_ids(self) -> Iterable[int]:
        """Those that are there."""
        return self._inner.get_node_ids()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send."""
        return self._inner.push_messages(messages)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Not from here: whoever asks again does."""
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Replies to these that are here as a whole. Raises WireError for one that is none, and forgets it."""
        wanted = list(message_ids)
        unheard = [one for one in wanted if one not in self._coming]  # a SuperLink calls lost what it handed out
        for told in self._calls.replies(unheard, MOST_OBJECTS) if unheard else ():
            if told.reply_to in unheard:
                weighed = Weighed(self.largest_bytes)
                self._coming[told.reply_to] = _Coming(told, self._clock(), weighed=weighed)
            else:
                LOG.warning("a message that answers nothing that was asked is left out")
        self._forget_old()
        found = [self._taken(one) for one in wanted if one in self._coming]
        return [reply for reply in found if reply is not None]

    def _taken(self, asked: str) -> Message | None:
        coming = self._coming[asked]
        try:
            demand_sound(coming.told)
            reply = self._reply(coming)
        except WireError:
            self._end(asked, coming)
            raise
        if reply is not None:
            self._end(asked, coming)
        return reply

    def _reply(self, coming: _Coming) -> Message | None:
        missing = [name for name in reversed(coming.told.objects) if name not in coming.objects]
        for name in missing[:AT_A_TIME]:
            content = self._calls.pull_object(coming.told.run_id, name)
            if content is None:
                return self._lost(coming)
            if not content:
                return self._lost(coming) if self._clock() > coming.at + STALLED_S else None
            demand_named(name, content)
            coming.weighed.add(content)
            coming.objects[name], coming.at = content, self._clock()
        if len(missing) > AT_A_TIME:
            return None
        return message_of(coming.told, coming.objects, True, self.largest_bytes)

    def _lost(self, coming: _Coming) -> Message:
        """As Flower says of a reply that did not come whole."""
        return lost_reply(coming.told.run_id, coming.told.node_id, coming.told.reply_to)

    def _end(self, asked: str, coming: _Coming) -> None:
        del self._coming[asked]
        self._calls.confirm(coming.told.run_id, coming.told.message_id)

    def _forget_old(self) -> None:
        """Replies to repeats that nobody asks for any longer."""
        since = self._clock() - FORGOTTEN_S
        self._coming = {asked: one for asked, one in self._coming.items() if one.at > since}
