"""One leg over Flower's Grid, every wait bounded; what cannot be used becomes a reason in our own words."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from time import monotonic, sleep

from flwr.app import Message
from flwr.serverapp import Grid

from common.errors import WireError
from common.sums.exchange import Payload
from common.wire.boundary import guarded
from common.wire.message_bytes import ENGINE_ERROR, NODE_ERROR, size_of
from common.wire.records import Written, from_records, to_records
from common.wire.refusals import SENTENCES, sentence_of
from common.wire.train_requests import LEGS, PROTOCOL_LEG

LONGEST_POLL_S = 0.25
SHORTEST_POLL_S = 0.002
_FLOWER_ERRORS = {
    1: "its program could not be loaded",
    2: "its program failed",
    3: "the request was lost on the way",
    4: "its reply was lost on the way",
    5: "it sent no sign of life",
    7: "it refused the program it was sent",
    8: "its process ended",
}


@dataclass(frozen=True)
class Heard:
    """What came of one request. payload is None where it failed, and reason says why. Bytes as serialised.

    refused: the word by which the hospital refused, of those that are known; "" where it did not.
    """

    node: int
    payload: Payload | None
    reason: str
    seconds: float
    bytes_received: int
    refused: str = ""


@dataclass
class Conversation:
    """Sends requests to nodes and waits for replies. A node that still owes an old reply is not asked again."""

    grid: Grid
    largest_array: int = 0
    largest_data: int = 0
    _owed: dict[int, str] = field(default_factory=dict)

    def converse(self, leg: str, requests: Mapping[int, Payload], timeout_s: float) -> Iterator[Heard | Sent]:
        """Yield a Sent for each message that went out, then a Heard for each node, as they come.

        Where the grid says how many it takes at a time, the others wait here, and are made only when they go out.
        """
        waiting, messages, written = deque(requests.items()), dict[str, tuple[int, float]](), self._written()
        yield from self._send(leg, waiting, messages, timeout_s, written)
        deadline, pause = monotonic() + timeout_s, SHORTEST_POLL_S
        while messages and monotonic() < deadline:
            came = 0
            for sent_id, (node, begin) in list(messages.items()):
                heard = self._reply(sent_id, node, begin)
                if heard is not None:
                    came += 1
                    del messages[sent_id]
                    self._owed.pop(node, None)
                    yield heard
                del heard  # else it would be held while the next one is read
            yield from self._send(leg, waiting, messages, timeout_s, written)
            written = written if waiting else self._written()
            pause = SHORTEST_POLL_S if came else min(1.25 * pause, _longest_poll_s(self.grid))
            if messages and not came:
                sleep(pause)
        for node, begin in messages.values():
            yield Heard(node, None, f"no reply within {timeout_s:g} s", monotonic() - begin, 0)
        for node, _ in waiting:
            yield Heard(node, None, f"others took all of {timeout_s:g} s, and it was not asked", 0.0, 0)

    def _written(self) -> Written:
        return Written(getattr(self.grid, "takes_views", False))

    def _send(
        self,
        leg: str,
        waiting: deque[tuple[int, Payload]],
        messages: dict[str, tuple[int, float]],
        timeout_s: float,
        written: Written,
    ) -> Iterator[Heard | Sent]:
        """As many of those that wait as the grid takes now."""
        while waiting and len(messages) < getattr(self.grid, "most_pending", len(messages) + 1):
            node, payload = waiting.popleft()
            if self._still_busy(node):
                yield Heard(node, None, "it is still busy with an earlier request", 0.0, 0)
                continue
            records, kind = to_records(payload, written), LEGS.get(leg, PROTOCOL_LEG)
            message = Message(records, node, kind, ttl=timeout_s, group_id=leg)
            yield Sent(node, size_of(message))
            (sent_id,) = self.grid.push_messages([message])
            messages[sent_id] = (node, monotonic())
            self._owed[node] = sent_id

    def _still_busy(self, node: int) -> bool:
        """A late reply is thrown away, whatever it is."""
        owed = self._owed.get(node)
        if owed is None:
            return False
        try:
            came = guarded(partial(self._pull, owed)) is not None
        except WireError:
            came = True
        if came:
            del self._owed[node]
        return not came

    def _pull(self, sent_id: str) -> Message | None:
        """Messages are pulled one by one, so that one that cannot be read is its own sender's failure and no other's.

        Which hospital it is from is decided by what was asked for, and by nothing that it says.
        """
        return next(iter(self.grid.pull_messages([sent_id])), None)

    def _reply(self, sent_id: str, node: int, begin: float) -> Heard | None:
        """What came of one request, None while nothing did. The boundary of a reply: no more than it is lost."""
        try:
            reply = guarded(partial(self._pull, sent_id))
            return None if reply is None else guarded(partial(self._heard, node, reply, monotonic() - begin))
        except WireError as error:
            return Heard(node, None, str(error), monotonic() - begin, 0)

    def _heard(self, node: int, reply: Message, seconds: float) -> Heard:
        size = size_of(reply)
        if reply.has_error():
            return Heard(node, None, _error_reason(reply, getattr(self.grid, "makes_errors", False)), seconds, size)
        try:
            payload = from_records(reply.content, self.largest_array, self.largest_data)
        except WireError as error:
            return Heard(node, None, str(error), seconds, size)
        if "refused" in payload.words:
            word = str(payload.words["refused"])
            return Heard(node, None, sentence_of(word), seconds, size, word if word in SENTENCES else "")
        if "incident" in payload.words:
            return Heard(node, None, _incident_reason(str(payload.words["incident"])), seconds, size)
        return Heard(node, payload, "", seconds, size)


@dataclass(frozen=True)
class Sent:
    """A request that went out, and its size as serialised."""

    node: int
    bytes_sent: int


def _longest_poll_s(grid: Grid) -> float:
    return float(getattr(grid, "longest_poll_s", LONGEST_POLL_S))


def _error_reason(reply: Message, engine_speaks: bool) -> str:
    """Only our own engine's words are repeated: another's text could be an exception's, which is patient data."""
    if reply.error.code == ENGINE_ERROR and engine_speaks:
        return str(reply.error.reason)[:200]
    if reply.error.code == NODE_ERROR:
        return _incident_reason(str(reply.error.reason).removeprefix("incident "))
    return _FLOWER_ERRORS.get(reply.error.code, f"Flower reported error {reply.error.code}")


def _incident_reason(number: str) -> str:
    known = number if len(number) == 8 and number.isascii() and number.isalnum() else "with an invalid number"
    return f"incident {known}; the hospital's own log says what happened"
