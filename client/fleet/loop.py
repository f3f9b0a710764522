"""The life of a node: present, asking for messages, answering them one by one, and never giving up on the way."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from secrets import SystemRandom
from threading import Event
from time import monotonic, time
from typing import TypeVar

from client.audit_log import note
from client.fleet.answering import Answers
from client.fleet.connection import Connection
from client.fleet.inbox import HeldMessage, Inbox
from client.fleet.outbox import REPLIED, About, Outbox
from client.fleet.outcomes import Doubtful, Refused, RunOver, Unreached, called, called_of_no_run
from client.fleet.presence import Presence
from common.errors import FileError, RefusedError, UnwrittenError, WireError
from common.wire.boundary import guarded
from common.wire.flower_inside import Deflated, Delivery, deflate, delivered_head
from common.wire.message_bytes import from_own_bytes
from common.wire.objects import Weighed, content_id, demand_named, message_of
from common.wire.pieces import LARGEST_MESSAGE_BYTES

T = TypeVar("T")
BUSY_POLL_S, IDLE_POLL_S, BUSY_S = 0.25, 2.0, 60.0
"""Between two questions for a message: within a minute of the last one, and later."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 5.0
PATIENCE_S = 75.0
"""A refusal lasts that long before it is believed: a SuperLink forgets a killed node's activation in a minute, and a
coordinator that starts anew registers its nodes a moment later."""
LONG_PATIENCE_S = 3600.0
"""With a coordinator that let this node in before, and whose refusal may be maintenance: a node that believes it ends
for good, and somebody must start it again in every hospital."""
PULL_PAUSE_S, PULL_WAIT_S = 0.25, 120.0
"""While a message's objects are still on their way to the SuperLink."""
TOLERATED_S = 3.0
"""By which two clocks may differ: 5 s ahead are refused, and an answer's date is in whole seconds."""
MOST_TRIES = 10
PEER, REPEATED = "coordinator", "repeated"
"""The log's words for who asks, and for a reply that went out once more, as it was."""
LOG = logging.getLogger("wardround.node")
_DRAWS = SystemRandom()


class Dropped(Exception):  # noqa: N818 - it is a fact about a message
    """Nobody waits for the answer to a message any more, or can get it."""


class Stopped(Exception):  # noqa: N818 - somebody asked the node to end
    """The node is to end; what is under way is on the disk."""


@dataclass
class Loop:
    """step: told before every step, for tests of crashes. seen: when the loop last turned.

    idle_exit_s: ends after as long without a message; 0: never. in_hand: what the program is answering.
    largest_message_bytes: of one that is let in.
    """

    connection: Connection
    presence: Presence
    inbox: Inbox
    outbox: Outbox
    answers: Callable[[int], Answers]
    stop: Event
    patience_s: float = PATIENCE_S
    step: Callable[[str], None] = lambda name: None
    idle_exit_s: float = 0.0
    busy_until: float = 0.0
    in_hand: HeldMessage | None = None
    long_patience_s: float = LONG_PATIENCE_S
    largest_message_bytes: int = LARGEST_MESSAGE_BYTES
    _was_let_in: bool = False
    _refused_since: float | None = None
    _trouble: str = ""
    _told: str = ""
    _answers: Answers | None = None
    seen: float = field(default_factory=monotonic)

    def run(self) -> None:
        """Until the node is to end. Raises RefusedForGoodError where the coordinator refuses and goes on refusing."""
        try:
            self._durably(lambda: note(self.inbox.folder, "node started", coordinator=self.connection.address))
            self._insist(self.presence.ensure)
            LOG.info("connected to %s, as node %d; it asks for messages", self.connection.address, self._node_id)
            self._answers = self.answers(self._node_id)
            for entry in self.inbox.waiting():
                LOG.info("message %s was not answered before; it is now", entry.delivery.message_id[:8])
                self._handle(entry)
            idle_since = monotonic()
            while not self.idle_exit_s or monotonic() - idle_since < self.idle_exit_s:
                idle_since = monotonic() if self.one() else idle_since
        except Stopped:
            return

    def one(self) -> bool:
        """Ask for a message, and answer it if there is one; whether there was."""
        self.step("pull")
        data = self._insist(lambda: called_of_no_run(lambda: self.connection.calls.pull(self._node_id)))
        entry = self._put(data) if data else None
        if entry is None:
            self._pause(BUSY_POLL_S if monotonic() < self.busy_until else IDLE_POLL_S)
            return False
        self._handle(entry)
        return True

    @property
    def _node_id(self) -> int:
        assert self.presence.node_id is not None
        return self.presence.node_id

    def _put(self, data: bytes) -> HeldMessage | None:
        self.step("put")
        try:
            return self._durably(lambda: self.inbox.put(data))
        except WireError as error:
            LOG.warning("a message is dropped: %s", error)
            return None

    def _handle(self, entry: HeldMessage) -> None:
        self.busy_until = monotonic() + BUSY_S
        try:
            self._answer(entry)
        except RunOver:
            LOG.info("message %s is of a run that is over; it is dropped", entry.delivery.message_id[:8])
        except Dropped as fact:
            LOG.warning("message %s is dropped: %s", entry.delivery.message_id[:8], fact)
        self.step("done")
        self._durably(lambda: self.inbox.done(entry))
        self.busy_until = monotonic() + BUSY_S

    def _answer(self, entry: HeldMessage) -> None:
        told = entry.delivery
        if told.created_at + told.ttl_s < time() - self._ahead_s:
            raise Dropped("it came after its time")
        begin = monotonic()
        found = self.outbox.to_message(told.message_id)
        if found is None or not self._may_leave(found[0]):
            found = self._made(entry)
        self._push(found[1], monotonic() - begin, told.created_at + told.ttl_s)
        self._tell(found[0], monotonic() - begin)

    def _may_leave(self, about: About) -> bool:
        """A reply lies on the disk for as long as nobody takes it, and people may say no meanwhile."""
        assert self._answers is not None
        return self._answers.may_leave(about)

    def _tell(self, about: About, seconds: float) -> None:
        """What became of a request; a refusal that is met again and again is said once."""
        told = f"{about.kind} of run {about.run[:8]} is {about.outcome}"
        if about.outcome == REPLIED:
            LOG.info("%s, after %.2f s", told, seconds)
        elif told != self._told:
            LOG.warning("%s", told)
        self._told = told

    def _made(self, entry: HeldMessage) -> tuple[About, bytes]:
        """The reply, on the disk."""
        assert self._answers is not None
        try:
            found = self._found(self._answers, entry)
        except WireError as error:
            LOG.warning("message %s cannot be read: %s", entry.delivery.message_id[:8], error)
            found = self._unable(self._answers, entry, error)
        self.step("keep")
        self._durably(lambda: self.outbox.keep(*found))
        return found

    def _found(self, answers: Answers, entry: HeldMessage) -> tuple[About, bytes]:
        """The reply that was given before, or what the program answers. Raises WireError for what is no message."""
        told = entry.delivery
        objects = self._objects(told)
        self.step("confirm")
        self._insist(lambda: self.connection.calls.confirm(self._node_id, told.run_id, told.message_id))
        entry = self._durably(lambda: self.inbox.begin(entry))
        if entry.tries > MOST_TRIES:  # to unfold it may be what ends the node
            raise WireError(f"its answer ended this node {MOST_TRIES} times.")
        message = message_of(told, objects, largest_bytes=self.largest_message_bytes)
        content = content_id(objects[told.message_id])
        if (found := answers.kept(message, content)) is not None:
            self._note_repeat(*found)
            return found
        self.step("answer")
        self.in_hand = entry
        try:
            return answers.new(message, content)
        finally:
            self.in_hand, self.seen = None, monotonic()

    def _note_repeat(self, about: About, reply: bytes) -> None:
        leg, run, size = about.kind, about.run, len(reply)
        self._durably(lambda: note(self.inbox.folder, REPEATED, peer=PEER, leg=leg, run=run, bytes_out=size))

    def _unable(self, answers: Answers, entry: HeldMessage, error: WireError) -> tuple[About, bytes]:
        try:
            return answers.unable(error, guarded(partial(delivered_head, entry.data)), "")
        except WireError as worse:
            raise Dropped(str(worse)) from None

    def _objects(self, told: Delivery) -> dict[str, bytes]:
        """All of a message, the message itself first. Raises WireError for more than is let in."""
        objects, weighed = {}, Weighed(self.largest_message_bytes)
        for name in reversed(told.objects):
            self.step("object")
            objects[name] = self._object(told, name)
            weighed.add(objects[name])
        return objects

    def _object(self, told: Delivery, name: str) -> bytes:
        """From the disk, or else from the SuperLink and then on the disk. Raises WireError where it is gone."""
        content = self.inbox.object(name)
        if content is not None:
            return content
        deadline = monotonic() + PULL_WAIT_S
        while True:
            content = self._insist(lambda: self.connection.calls.pull_object(self._node_id, told.run_id, name))
            if content is None or (not content and monotonic() > deadline):
                raise Dropped("an object of it is gone; it will be asked again")
            if content:
                break
            self._pause(PULL_PAUSE_S)
        demand_named(name, content)
        kept = content
        self._durably(lambda: self.inbox.keep(name, kept))
        return content

    def _push(self, data: bytes, seconds: float, until: float) -> None:
        """Announce it, and push what is wanted of it, until nothing is: a session may end in between."""
        reply = deflate(from_own_bytes(data))
        while True:
            self.step("push")
            wanted, session = self._insist(lambda: self.connection.calls.push(self._node_id, reply, seconds))
            taken = [self._push_object(reply, session, name) for name in reply.objects if name in wanted]
            if all(taken):
                return
            if time() - self._ahead_s > until:
                raise Dropped("its time is over before all of its answer was taken")
            self._pause(FIRST_PAUSE_S)

    def _push_object(self, reply: Deflated, session: str, name: str) -> bool:
        self.step("push object")
        push, content = self.connection.calls.push_object, reply.objects[name]
        return self._insist(lambda: push(self._node_id, reply.run_id, session, name, content))

    @property
    def _ahead_s(self) -> float:
        return self.connection.identity.ahead_s

    def _insist(self, call: Callable[[], T]) -> T:
        """What a call returns, however often it must be tried. Raises RunOver, Stopped, or RefusedForGoodError."""
        pause = FIRST_PAUSE_S
        while True:
            try:
                result = called(call)
                self.seen, self._refused_since, self._was_let_in = monotonic(), None, True
                self._say("")
                return result
            except Unreached as fact:
                if pause > FIRST_PAUSE_S:  # a connection that was kept too long is met once, and is nothing
                    self._say(f"the coordinator is not reached: {fact}")
            except Refused as fact:
                self._refused(fact)
                self._come_back()
            finally:
                self._mind_the_clock()
            self._pause(pause * (0.5 + _DRAWS.random()))
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _mind_the_clock(self) -> None:
        """A SuperLink refuses whoever's clock differs: requests are dated by the coordinator's."""
        clock, identity = self.connection.clock, self.connection.identity
        told = clock.ahead_s if abs(clock.ahead_s) > TOLERATED_S else 0.0
        if abs(told - identity.ahead_s) > TOLERATED_S:
            identity.ahead_s = told
            LOG.warning(
                "this machine's clock is %.0f s %s the coordinator's, by which requests are dated now; one of the "
                "two is wrong: see that both follow a time server (NTP)",
                abs(told),
                "ahead of" if told > 0 else "behind",
            )

    def _refused(self, fact: Refused) -> None:
        since = self._refused_since = self._refused_since or monotonic()
        is_doubtful = self._was_let_in and isinstance(fact, Doubtful)
        if monotonic() - since > (self.long_patience_s if is_doubtful else self.patience_s):
            raise RefusedForGoodError(str(fact))
        self._say(f"refused, and tried again: {fact}")

    def _say(self, trouble: str) -> None:
        """Once, however often it is met; and once that it is over."""
        if trouble != self._trouble:
            LOG.warning("%s", trouble or "the coordinator answers again")
            self._trouble = trouble

    def _come_back(self) -> None:
        """The coordinator may have forgotten the node, or its id."""
        try:
            self.presence.ensure()
        except (Unreached, Refused) as fact:
            LOG.debug("not present: %s", fact)

    def _durably(self, write: Callable[[], T]) -> T:
        """What a write returns, once there is room for it. Raises HospitalError where room is not what it lacks."""
        while True:
            try:
                return write()
            except (FileError, UnwrittenError) as error:
                LOG.error("the hospital's folder cannot be written, which is waited for: %s", error)
            self._pause(LONGEST_PAUSE_S)

    def _pause(self, seconds: float) -> None:
        self.seen = monotonic()
        if self.stop.wait(seconds):
            raise Stopped


class RefusedForGoodError(RefusedError):
    """The coordinator refuses, and goes on refusing."""

    def __init__(self, text: str) -> None:
        super().__init__("", text)
