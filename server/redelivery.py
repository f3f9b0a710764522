"""Flower's Grid with nothing lost between: what brings no reply is asked again, and one answer is handed up.

Flower delivers a message at most once. A request whose delivery broke off is gone, and so is a reply that a node
could not push or that was lost as it was pulled; a SuperLink that is killed while the server pushes ends the run.
Here a request is asked again, its content to the bit, until one reply is there or its time is over. A node of
ours answers a repeat from its outbox with the very reply it gave before, so that a repeat costs the way alone.

Flower's own grid waits for a SuperLink that cannot be reached, for as long as it takes; whatever else it raises is
taken for such an outage here. Only that the run was stopped, and an interrupt, end anything.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic, sleep
from typing import TypeVar
from uuid import uuid4

import httpx
from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from common.errors import WireError
from common.wire.boundary import guarded
from common.wire.flower_inside import Run
from common.wire.message_bytes import (
    LOST_REPLY,
    LOST_REQUEST,
    NO_SIGN_OF_LIFE,
    RunIsOver,
    as_reply_to,
    lost_on_the_way,
    size_of,
)
from common.wire.packing import packed, unpacked
from server.reply_reader import Taking
from server.run_lock import STOPPED_AT_THE_LINK

LOG = logging.getLogger("wardround.resending")

ASK_AGAIN_S = 15.0
LONGEST_ASK_AGAIN_S = 120.0
SLOWEST_BYTES_A_S = 1 << 18
"""What a hospital's line carries at least: a large model is not sent twice at once over a slow one."""
PAUSES_AFTER_ERRORS_S = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0)
NODES_POLL_S = 1.0
POLL_S, LONGEST_POLL_S = 0.25, 2.0
ABSENCE_S = 60.0
"""How long a hospital that gives no sign of life is waited for: by then a service manager has started it again.

Flower says so 30 to 60 s after it was last heard. What a study waits for hospitals beyond that is its own."""
GRACE_S = 2.0
"""After a request's time is over a reply on its way is still taken."""
TRANSIENT = (LOST_REQUEST, LOST_REPLY, NO_SIGN_OF_LIFE)
"""Flower's own words for a message that it could not bring, which says nothing about the hospital's answer."""

Clock = Callable[[], float]
T = TypeVar("T")


@dataclass
class _Request:
    """One request, and the names under which it was sent so far. again_at: when it is sent the next time.

    awaits_node: it goes out as soon as its node is there, and again_at is the latest.
    """

    name: str
    message: Message
    began: float
    deadline: float
    first_wait_s: float
    again_at: float
    sent: list[str] = field(default_factory=list)
    silences: int = 0
    errors: int = 0
    awaits_node: bool = False


class Resending(Grid):
    """A Grid around another. Replies come under the name that `push_messages` gave their request, each once.

    packs: put the content of every message into one record, as nodes of ours understand. names: of hospitals, by
    node, as far as they are known.
    """

    engine = "nodes"

    def __init__(
        self,
        inner: Grid,
        ask_again_s: float = ASK_AGAIN_S,
        packs: bool = True,
        clock: Clock = monotonic,
        names: Mapping[int, str] | None = None,
    ) -> None:
        self.names = dict(names or {})
        self.takes_views = packs
        self._inner, self._ask_again_s, self._packs, self._clock = inner, ask_again_s, packs, clock
        self._open: dict[str, _Request] = {}
        self._late: dict[str, float] = {}
        self._missing_since: dict[int, float] = {}
        self._nodes: list[int] = []
        self._nodes_at = float("-inf")
        self.repeats = 0

    @property
    def longest_poll_s(self) -> float:
        """Between two looks for a reply: a twentieth of the time since the first of those asked now, within bounds.

        Every look is a transaction in the SuperLink's data base; whoever trains for minutes is not looked for four
        times a second.
        """
        began = min((one.began for one in self._open.values()), default=self._clock())
        return min(max(POLL_S, (self._clock() - began) / 20), LONGEST_POLL_S)

    def take_at_most(self, reply_bytes: int) -> None:
        """Of one reply from now on, where the grid below reads them piece by piece."""
        if isinstance(self._inner, Taking):
            self._inner.largest_bytes = reply_bytes

    def set_run(self, run: Run) -> None:
        """Take a run's identity."""
        self._inner.set_run(run)

    @property
    def run(self) -> Run:
        """The run all messages belong to."""
        return self._inner.run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """A message of this run."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """Those that are there; those that were, while the SuperLink cannot be asked."""
        self._ask_for_nodes()
        return list(self._nodes)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send; the name of each request. One that could not be sent is sent again, like one that is lost."""
        self._throw_late_away()
        return [self._begin(message) for message in messages]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Replies that have come, each once. What brought none is asked again when it is time."""
        open_now = [self._open[one] for one in message_ids if one in self._open]
        return [reply for reply in map(self._look, open_now) if reply is not None]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Send and wait; replies that did not come within `timeout` seconds are missing."""
        waiting = set(self.push_messages(messages))
        deadline = None if timeout is None else self._clock() + timeout
        replies: list[Message] = []
        while waiting and (deadline is None or self._clock() < deadline):
            came = list(self.pull_messages(sorted(waiting)))
            waiting -= {reply.metadata.reply_to_message_id for reply in came}
            replies += came
            sleep(0 if came else POLL_S)
        return replies

    def _begin(self, message: Message) -> str:
        now = self._clock()
        wait_s = self._ask_again_s + size_of(message) / SLOWEST_BYTES_A_S
        kept = _copy(message, message.content, message.metadata.ttl)
        request = _Request(str(uuid4()), kept, now, now + message.metadata.ttl, wait_s, now + wait_s)
        self._open[request.name] = request
        self._send(request)
        return request.name

    def _send(self, request: _Request) -> None:
        """Send a request once more, its content that of the first time."""
        left_s = request.deadline - self._clock()
        if left_s <= 0:
            return
        request.awaits_node = False
        request.again_at = self._clock() + _growing(request.first_wait_s, request.silences)
        content = packed(request.message.content) if self._packs else request.message.content
        copy = _copy(request.message, content, left_s)  # packed anew: hospitals' contents share a model, packed none
        sent = self._reached(partial(self._push, copy))
        if sent is None:
            self._soon(request)
        else:
            request.sent.append(sent)

    def _push(self, message: Message) -> str | None:
        return next(iter(self._inner.push_messages([message])), None)

    def _repeat(self, request: _Request) -> None:
        self.repeats += 1
        LOG.info("asking node %s again", request.message.metadata.dst_node_id)
        self._send(request)

    def _soon(self, request: _Request) -> None:
        """Ask again after an error: at once, then with growing pauses."""
        pause_s = PAUSES_AFTER_ERRORS_S[min(request.errors, len(PAUSES_AFTER_ERRORS_S) - 1)]
        request.errors += 1
        request.again_at = self._clock() + pause_s

    def _look(self, request: _Request) -> Message | None:
        """The one reply to a request, None while there is none."""
        now = self._clock()
        try:
            came = self._pull(request)
        except Exception:
            del self._open[request.name]
            raise
        for reply in came:
            if not self._may_be_mended(request, reply, now):
                return self._close(request, reply)
            self._forget(request, reply)
            request.awaits_node = reply.error.code == NO_SIGN_OF_LIFE
            self._soon(request)
        if now >= request.deadline:
            is_given_up = now >= request.deadline + GRACE_S
            return self._close(request, lost_on_the_way(request.message)) if is_given_up else None
        if now >= request.again_at or (request.awaits_node and self._is_back(request)):
            request.silences += bool(request.sent)
            self._repeat(request)
        return None

    def _may_be_mended(self, request: _Request, reply: Message, now: float) -> bool:
        """Whether a reply is Flower's own word for a loss, and asking again may bring the hospital's."""
        node = request.message.metadata.dst_node_id
        if not reply.has_error() or reply.error.code not in TRANSIENT:
            self._missing_since.pop(node, None)
            return False
        if now >= request.deadline:
            return False
        if reply.error.code != NO_SIGN_OF_LIFE:
            return True
        return now < self._missing_since.setdefault(node, now) + ABSENCE_S

    def _pull(self, request: _Request) -> Sequence[Message]:
        """Whatever came to any of its repeats. What cannot be read is the sender's fault, and is raised."""
        if not request.sent:
            return []
        try:
            return list(self._inner.pull_messages(request.sent))
        except (httpx.HTTPError, OSError):
            LOG.info("the SuperLink could not be asked for a reply", exc_info=True)
            return []
        except RunIsOver as error:
            raise KeyboardInterrupt(STOPPED_AT_THE_LINK) from error

    def _close(self, request: _Request, reply: Message) -> Message:
        """Take a reply as the answer; other repeats' replies are thrown away as they come."""
        self._forget(request, reply)
        self._late |= dict.fromkeys(request.sent, request.deadline)
        del self._open[request.name]
        content = guarded(partial(unpacked, reply.content)) if reply.has_content() else None
        return as_reply_to(reply, request.name, content)

    def _forget(self, request: _Request, reply: Message) -> None:
        answered = reply.metadata.reply_to_message_id
        request.sent = [one for one in request.sent if one != answered]

    def _throw_late_away(self) -> None:
        """Replies to repeats that were not needed lie in the SuperLink until somebody takes them."""
        if not self._late:
            return
        try:
            came = self._reached(lambda: list(self._inner.pull_messages(list(self._late)))) or []
        except WireError:
            came = []
        for reply in came:
            self._late.pop(reply.metadata.reply_to_message_id, None)
        self._late = {name: until for name, until in self._late.items() if until > self._clock()}

    def _is_back(self, request: _Request) -> bool:
        if request.errors <= 1:
            return True
        if self._clock() >= self._nodes_at + NODES_POLL_S:
            self._ask_for_nodes()
        return request.message.metadata.dst_node_id in self._nodes

    def _ask_for_nodes(self) -> None:
        self._nodes_at = self._clock()
        found = self._reached(lambda: list(self._inner.get_node_ids()))
        self._nodes = self._nodes if found is None else found
        for node in found or ():
            self._missing_since.pop(node, None)

    def _reached(self, ask: Callable[[], T]) -> T | None:
        """What the SuperLink answers, None where it could not be asked."""
        try:
            return ask()
        except RunIsOver as error:
            raise KeyboardInterrupt(STOPPED_AT_THE_LINK) from error
        except Exception:  # nothing of a peer's is read here: whatever fails is the way
            LOG.info("the SuperLink could not be reached", exc_info=True)
            return None


def _copy(message: Message, content: RecordDict, ttl_s: float) -> Message:
    """Flower names a message by what is in it and by when it was made, so that a copy is another to it."""
    about = message.metadata
    return Message(content, about.dst_node_id, about.message_type, ttl=ttl_s, group_id=about.group_id)


def _growing(first_wait_s: float, silences: int) -> float:
    """15, 15, 30, 60, 120, 120 s...: long training is no loss, and its hospital is not asked for ever."""
    return min(max(LONGEST_ASK_AGAIN_S, first_wait_s), first_wait_s * 2.0 ** max(0, silences - 1))
