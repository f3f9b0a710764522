"""Replies as a stock SuperLink hands them over, of hospitals that cheat: each costs its sender, and nobody else."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import pytest
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.app.message.message import make_message
from flwr.app.metadata import Metadata
from flwr.common.constant import SUPERLINK_NODE_ID
from flwr.proto.message_pb2 import Message as MessageProto
from flwr.proto.message_pb2 import ObjectTree
from flwr.proto.node_pb2 import Node
from flwr.superlink.main import create_app
from flwr.superlink.servicer.runtime import runtime_handlers

from common.errors import WireError
from common.wire import flower_inside
from common.wire.flower_inside import AppCalls, Deflated
from server.redelivery import Resending
from server.reply_reader import STALLED_S, Taking
from tests.client.stock_link import Link


@dataclass
class Task:
    run_id: int


@dataclass
class RuntimeClient:
    """The SuperLink's own handlers, without a way between."""

    link: Link
    run_id: int

    def __getattr__(self, name: str) -> Any:
        word = {"PullMessages": "pull_messages", "PullObject": "pull_object"}.get(name, "confirm_message_received")
        handler = getattr(runtime_handlers, word)
        return lambda request: handler(request, self.link.state, Task(self.run_id))


@dataclass
class Place:
    """A SuperLink with a run and two hospitals, and the server's grid."""

    link: Link = field(default_factory=lambda: Link(create_app()))
    now: float = 0.0

    def __post_init__(self) -> None:
        self.nodes = [self.link.register(key) for key in (b"a", b"b")]
        for node in self.nodes:
            assert self.link.state.activate_node(node, 30.0)
        self.run = self.link.new_run()
        self._runtime_client, self.node = RuntimeClient(self.link, self.run), Node(node_id=SUPERLINK_NODE_ID)
        self.taking = Taking(self, AppCalls(self), lambda: self.now)  # type: ignore[arg-type]

    def ask(self, of: int) -> str:
        return self.link.ask(
            self.run, self.nodes[of], "train.round", RecordDict({"numbers": MetricRecord({"n": of})})
        )

    def reply(self, of: int, to: str, content: RecordDict) -> Deflated:
        told = Metadata(self.run, "", self.nodes[of], SUPERLINK_NODE_ID, to, "", self.link.now(), 60.0, "train.round")
        message = make_message(told, content)
        message.metadata.delivered_at = ""
        return flower_inside.deflate(message)

    def announce(self, one: Deflated) -> str:
        head = flower_inside.message_from_bytes(one.head)
        session = self.link.state.start_session(self.run)
        tree = ObjectTree.FromString(one.tree)
        assert self.link.state.store_message_and_object_tree(head, tree, session)[0]
        return str(session)

    def push(self, one: Deflated, session: str, *names: str) -> None:
        for name in names or one.objects:
            assert self.link.state.store_object(self.run, session, name, one.objects[name])

    def answer(self, of: int, to: str, content: RecordDict) -> None:
        one = self.reply(of, to, content)
        self.push(one, self.announce(one))


def numbers(value: float) -> RecordDict:
    return RecordDict({"numbers": MetricRecord({"n": value})})


def array() -> Array:
    return Array("float32", (1 << 18,), "wardround.float32", bytes(1 << 20))


def made(kind: str, children: tuple[str, ...], body: bytes) -> bytes:
    return f"{kind} {','.join(children)} {len(body)}".encode() + b"\x00" + body


def renamed(objects: dict[str, bytes], root: str) -> tuple[dict[str, bytes], str]:
    """With names that fit what is in them, children before those that name them."""
    found: dict[str, bytes] = {}

    def walk(name: str) -> str:
        kind, children, body = flower_inside.parts_of(objects[name])
        new = tuple(walk(child) for child in children)
        for before, after in zip(children, new, strict=True):
            body = body.replace(before.encode(), after.encode())
        content = made(kind, new, body)
        found[sha256(content).hexdigest()] = content
        return sha256(content).hexdigest()

    return found, walk(root)


def test_honest_replies_come_whole_and_each_once() -> None:
    place = Place()
    first, second = place.ask(0), place.ask(1)
    place.answer(0, first, numbers(3.0))
    place.answer(1, second, RecordDict({"array": ArrayRecord({"flat": array()})}))
    (one,) = place.taking.pull_messages([first])
    assert (one.metadata.reply_to_message_id, dict(one.content["numbers"])) == (first, {"n": 3.0})
    (other,) = place.taking.pull_messages([second])
    assert other.content["array"]["flat"].data == bytes(1 << 20)


def test_what_flower_says_of_a_hospital_that_is_gone_comes_through() -> None:
    place = Place()
    asked = place.ask(0)
    place.link.state.deactivate_node(place.nodes[0])
    (reply,) = place.taking.pull_messages([asked])
    assert reply.error.code == 5
    assert reply.metadata.reply_to_message_id == asked


def test_a_message_in_the_servers_own_name_is_no_hospitals_answer() -> None:
    """A SuperLink takes it from any hospital, and hands it over with the next replies, whoever was asked."""
    place = Place()
    asked = place.ask(0)
    told = Metadata(
        place.run, "", SUPERLINK_NODE_ID, SUPERLINK_NODE_ID, "", "", place.link.now(), 60.0, "train.round"
    )
    forged = make_message(told, numbers(666.0))
    forged.metadata.delivered_at = ""
    one = flower_inside.deflate(forged)
    place.push(one, place.announce(one))
    assert list(place.taking.pull_messages([asked])) == []
    place.answer(0, asked, numbers(1.0))
    (reply,) = place.taking.pull_messages([asked])
    assert dict(reply.content["numbers"]) == {"n": 1.0}


SWELLING = {
    "Array": lambda body: {**body, "arraychunk_ids": [0] * (1 << 18)},
    "ArrayRecord": lambda body: {str(n): one for n in range(1 << 11) for one in body.values()},
    "RecordDict": lambda body: {str(n): one for n in range(1 << 11) for one in body.values()},
}


@pytest.mark.parametrize("swollen", SWELLING)
def test_a_reply_that_would_unfold_to_hundreds_of_gigabytes_is_its_senders_alone(swollen: str) -> None:
    place = Place()
    cheat, honest = place.ask(0), place.ask(1)
    one = place.reply(0, cheat, RecordDict({"array": ArrayRecord({"flat": array()})}))
    objects = dict(one.objects)
    for name, content in one.objects.items():
        kind, children, body = flower_inside.parts_of(content)
        if kind == swollen:
            objects[name] = made(kind, children, json.dumps(SWELLING[swollen](json.loads(body))).encode())
    swollen_objects, root = renamed(objects, one.message_id)
    head = MessageProto.FromString(one.head)
    head.metadata.message_id = root
    tree = tree_of(swollen_objects, root)
    whole = Deflated(root, place.run, head.SerializeToString(), tree.SerializeToString(), swollen_objects)
    place.push(whole, place.announce(whole))
    place.answer(1, honest, numbers(1.0))
    with pytest.raises(WireError):
        place.taking.pull_messages([cheat])
    assert len(list(place.taking.pull_messages([honest]))) == 1


def tree_of(objects: dict[str, bytes], name: str) -> ObjectTree:
    children = flower_inside.parts_of(objects[name])[1]
    return ObjectTree(object_id=name, children=[tree_of(objects, one) for one in children])


def test_whoever_announces_a_reply_and_pushes_none_of_it_keeps_nobody_waiting() -> None:
    place = Place()
    cheat, honest = place.ask(0), place.ask(1)
    place.announce(place.reply(0, cheat, numbers(1.0)))
    place.answer(1, honest, numbers(2.0))
    assert list(place.taking.pull_messages([cheat])) == []
    assert len(list(place.taking.pull_messages([honest]))) == 1
    place.now += STALLED_S + 1
    (reply,) = place.taking.pull_messages([cheat])
    assert (reply.error.code, reply.metadata.reply_to_message_id) == (4, cheat)


def test_a_reply_that_comes_in_pieces_is_taken_when_it_is_whole() -> None:
    place = Place()
    asked = place.ask(0)
    one = place.reply(0, asked, numbers(5.0))
    session = place.announce(one)
    for name in one.objects:
        assert list(place.taking.pull_messages([asked])) == []
        place.push(one, session, name)
    (reply,) = place.taking.pull_messages([asked])
    assert dict(reply.content["numbers"]) == {"n": 5.0}


def test_a_reply_of_very_many_objects_is_not_looked_at() -> None:
    place = Place()
    asked = place.ask(0)
    one = place.reply(0, asked, numbers(5.0))
    many = [ObjectTree(object_id=sha256(str(n).encode()).hexdigest()) for n in range(5000)]
    tree = ObjectTree(object_id=one.message_id, children=many)
    place.announce(Deflated(one.message_id, place.run, one.head, tree.SerializeToString(), {}))
    assert list(place.taking.pull_messages([asked])) == []


def test_requests_whose_reply_is_none_are_forgotten() -> None:
    """They hold the model that was sent."""

    class Liar:
        def push_messages(self, messages: list[Message]) -> list[str]:
            return ["x"] * len(messages)

        def pull_messages(self, message_ids: list[str]) -> list[Message]:
            raise WireError("no reply")

    flower_inside.identify(1, 1)
    grid = Resending(Liar())  # type: ignore[arg-type]
    (name,) = grid.push_messages([Message(numbers(1.0), 5, "train")])
    with pytest.raises(WireError):
        grid.pull_messages([name])
    assert list(grid.pull_messages([name])) == []
