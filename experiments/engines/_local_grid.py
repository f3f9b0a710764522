"""Flower's Grid over any transport of bytes on this machine. Messages are really serialised, also in one process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Protocol
from uuid import uuid4

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from common.data.cases import SiteId
from common.errors import WireError
from common.wire.flower_inside import Run
from common.wire.long_form import Buffer
from common.wire.message_bytes import (
    ENGINE_ERROR,
    engine_error,
    from_bytes,
    identify,
    name_message,
    to_parts,
    without_content,
)
from experiments.engines._interrupt import Check
from experiments.engines._recorder import Recorder

SERVER_NODE_ID = 1
POLL_S = 0.005


class Unreachable(Exception):  # noqa: N818 - it is a fact about a hospital, not a defect
    """A node cannot answer; the text is the engine's own and may be shown."""


Poll = Callable[[], Buffer | None]
"""Asked for a reply: its bytes, None while there is none. Raises Unreachable where there will be none."""


class Transport(Protocol):
    """Carries bytes to a node."""

    def send(self, node_id: int, request: Sequence[Buffer]) -> Poll:
        """Hand over a request, whose parts are one message together; never waits for the reply."""
        ...


class LocalGrid(Grid):
    """The Grid of engines on one machine. `meter` counts bytes by (node, direction, message type).

    names: of hospitals, by their nodes, which on one machine are known before they say so. most_pending: requests
    that wait at a time; None: all of them.
    """

    longest_poll_s = 0.02
    device = ""
    """Of the parties on this machine, in words."""
    takes_views = True
    """Arrays of requests need not be copied: they are serialised before the caller goes on, or never changed."""
    makes_errors = True
    """Errors with the code ENGINE_ERROR are this engine's own words, and no hospital's."""

    def __init__(
        self,
        engine: str,
        transport: Transport,
        nodes: int,
        run: Run,
        recorder: Recorder | None,
        at_once: int,
        check_interrupt: Check = lambda: None,
        names: Mapping[int, SiteId] | None = None,
        most_pending: int | None = None,
    ) -> None:
        self.engine = engine
        if most_pending is not None:
            self.most_pending = most_pending
        self.hospitals_at_once = at_once
        self.names = dict(names or {})
        self.meter: Counter[tuple[int, str, str]] = Counter()
        self._transport, self._run, self._recorder = transport, run, recorder
        self._check_interrupt = check_interrupt
        self._node_ids = [SERVER_NODE_ID + 1 + index for index in range(nodes)]
        self._pending: dict[str, tuple[Message, Poll]] = {}

    def take_at_most(self, reply_bytes: int) -> None:
        """Of one reply from now on, where the transport brings it piece by piece."""
        if hasattr(self._transport, "largest_reply_bytes"):
            self._transport.largest_reply_bytes = reply_bytes

    def set_run(self, run: Run) -> None:
        """Take another run's identity."""
        self._run = run

    @property
    def run(self) -> Run:
        """The run all messages belong to."""
        return self._run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """A message of this run."""
        self._identify()
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """Ids of all hospitals' nodes."""
        self._identify()
        return list(self._node_ids)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send; returns each message's id."""
        return [self._push(message) for message in messages]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Replies that have come to these messages, each once. Raises KeyboardInterrupt also where one got lost."""
        self._check_interrupt()
        self._identify()
        found = [self._pull(message_id) for message_id in message_ids if message_id in self._pending]
        return [reply for reply in found if reply is not None]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Send and wait; replies that did not come within `timeout` seconds are missing."""
        waiting = set(self.push_messages(messages))
        deadline = None if timeout is None else monotonic() + timeout
        replies: list[Message] = []
        while waiting and (deadline is None or monotonic() < deadline):
            came = list(self.pull_messages(waiting))
            waiting -= {reply.metadata.reply_to_message_id for reply in came}
            replies += came
            sleep(0 if came else POLL_S)
        return replies

    def _identify(self) -> None:
        """Inline, hospitals share this process and leave their own identity behind."""
        identify(self._run.run_id, SERVER_NODE_ID)

    def _push(self, message: Message) -> str:
        message_id = str(uuid4())
        name_message(message, self._run.run_id, message_id)
        request = to_parts(message)
        node = message.metadata.dst_node_id
        self._note(node, "to hospital", message, request)
        self._pending[message_id] = (without_content(message), self._transport.send(node, request))
        return message_id

    def _pull(self, message_id: str) -> Message | None:
        request, poll = self._pending[message_id]
        try:
            data = poll()
        except Unreachable as fact:
            del self._pending[message_id]
            self._identify()
            return engine_error(str(fact), request)
        if data is None:
            return None
        del self._pending[message_id]
        self._identify()
        self._note(request.metadata.dst_node_id, "to server", request, [data])
        try:
            return _not_in_our_name(from_bytes(data))
        except WireError as error:
            return engine_error(f"its reply is no message: {error}", request)

    def _note(self, node: int, direction: str, message: Message, parts: Sequence[Buffer]) -> None:
        self.meter[node, direction, message.metadata.message_type] += sum(map(len, parts))
        if self._recorder is not None:
            self._recorder.keep(node, direction, message.metadata.message_type, b"".join(parts))


def _not_in_our_name(reply: Message) -> Message:
    """The reply, unless a hospital made it look like the engine's own word."""
    if reply.has_error() and reply.error.code == ENGINE_ERROR:
        raise WireError("it speaks as the engine.")
    return reply


def new_run(run_id: int) -> Run:
    """A run's identity, with nothing of a bundle."""
    return Run.create_empty(run_id)


def hospital_folder(folder: Path, site: str) -> Path:
    """The place of a hospital's own logs in a run folder."""
    return folder / "hospitals" / site
