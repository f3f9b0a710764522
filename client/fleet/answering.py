"""From a request to the bytes of its reply: by the outbox where it was answered before, else by the program."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.clientapp import ClientApp

from client.approved_studies import approve_study
from client.fleet.outbox import REPLIED, About, Outbox
from client.node import Config, Node
from client.policy import read_policy
from client.policy_rules import refuse_broken
from common.errors import WardroundError, WireError
from common.sums.exchange import Payload
from common.wire.boundary import guarded
from common.wire.flower_inside import set_back
from common.wire.message_bytes import from_own_bytes, identify, to_bytes
from common.wire.packing import is_packed, packed, unpacked
from common.wire.refusals import sentence_of
from common.wire.train_requests import LEGS, RUN, run_of

MOST_RUNS = 4
"""Runs of Flower's whose contexts are kept at a time."""
NOT_TO_REPEAT = frozenset({"refused", "incident"})
"""Words of replies that say what was so at that moment: who asks again is answered anew."""
NOT_READ = "not answered: it could not be read; incidents.log says why"


@dataclass
class Answers:
    """The installed program, and what it keeps of every run of Flower's. config: the node's own.

    ahead_s: of this machine's clock before the coordinator's.
    """

    app: ClientApp
    node_id: int
    config: Config
    outbox: Outbox
    folder: Path
    ahead_s: Callable[[], float] = lambda: 0.0
    _nodes: OrderedDict[int, Node] = field(default_factory=OrderedDict)

    def kept(self, message: Message, content: str) -> tuple[About, bytes] | None:
        """The reply that was given before, in a message of its own for this one. content: the name of its content.

        A hello is answered anew in another run of Flower's, and nothing is repeated of a study that is no longer
        approved.
        """
        found = self.outbox.to_repeat(message.metadata.message_type, content)
        if found is None:
            return None
        about, data = found
        other_run = about.flower_run != message.metadata.run_id
        if (other_run and about.kind == LEGS["hello"]) or not self.may_leave(about):
            return None
        try:
            before = guarded(partial(from_own_bytes, data))
            reply = Message(before.content, reply_to=message)
        except (WireError, ValueError):
            return None
        return _about(about.run, message, content, True, about.study), self._dated(reply)

    def may_leave(self, about: About) -> bool:
        """Whether the people here would still have this reply sent: its study approved, and within their rules."""
        if not about.again:
            return True
        try:
            approve_study(about.study, self.folder, needs_list=True)
            refuse_broken(about.study, read_policy(self.folder))
        except WardroundError:
            return False
        return True

    def new(self, message: Message, content: str) -> tuple[About, bytes]:
        """What the program answers. Whatever it raises has become a reply that tells nothing."""
        packs = is_packed(message.content)
        try:
            message.content = unpacked(message.content)
        except WireError as error:
            return self.unable(error, message, content)
        reply = self._node(message.metadata.run_id).reply(message)
        words = _words(message.content)
        said = _words(reply.content) if reply.has_content() else ConfigRecord()
        again = reply.has_content() and not NOT_TO_REPEAT & said.keys()
        if packs and reply.has_content():
            reply.content = packed(reply.content)
        run, study = _run(words) or _run_of_flower(message), str(words.get("study", ""))
        return _about(run, message, content, again, study if again else "", _outcome(said)), self._dated(reply)

    def unable(self, error: WireError, message: Message, content: str) -> tuple[About, bytes]:
        """The reply to a message that is none that this program could read."""
        reply = self._node(message.metadata.run_id).unable(error, message)
        return _about(_run_of_flower(message), message, content, False, "", NOT_READ), self._dated(reply)

    def _dated(self, reply: Message) -> bytes:
        set_back(reply, self.ahead_s())
        return to_bytes(reply)

    def _node(self, run_id: int) -> Node:
        node = self._nodes.pop(run_id, None) or Node(self.app, self.node_id, run_id, self.config)
        self._nodes[run_id] = node
        while len(self._nodes) > MOST_RUNS:
            self._nodes.popitem(last=False)
        identify(run_id, self.node_id)
        return node


def _about(run: str, message: Message, content: str, again: bool, study: str, outcome: str = REPLIED) -> About:
    told = message.metadata
    return About(run, told.run_id, told.message_type, content, told.message_id, again, study, outcome)


def _outcome(said: ConfigRecord) -> str:
    """What became of a request, by the words of its reply, for the node's own log: a refusal is no answer."""
    if "refused" in said:
        return f"refused: {sentence_of(str(said['refused']))}; refusals.log says what to do"
    if "incident" in said:
        return f"not answered: incident {said['incident']!s}, of which incidents.log has the text"
    return REPLIED


def _run_of_flower(message: Message) -> str:
    return f"flower {message.metadata.run_id}"


def _words(records: RecordDict) -> ConfigRecord:
    record = records.get("words")
    return record if isinstance(record, ConfigRecord) else ConfigRecord()


def _run(words: ConfigRecord) -> str:
    """The study's run that a request names, "" where it names none that can be."""
    try:
        return run_of(Payload(words={RUN: str(words.get(RUN, ""))}))
    except WireError:
        return ""
