"""Whoever sits at the coordinator sends a hospital's node what it likes: the worst is that a message is dropped."""

from __future__ import annotations

import json
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.proto.fleet_pb2 import PullMessagesResponse
from flwr.proto.message_pb2 import Message as MessageProto
from flwr.proto.message_pb2 import Metadata, ObjectTree
from hypothesis import given, settings
from hypothesis import strategies as st

from client.fleet.inbox import FOLDER, OBJECTS, Inbox
from client.fleet.outbox import MOST_REPLIES, About, Outbox
from common.errors import WireError
from common.wire import flower_inside
from common.wire.flower_inside import Deflated, deflate
from common.wire.objects import MOST_OBJECTS, MOST_SMALL, Weighed, content_id, delivery_in, message_of

RUN, NODE = 3, 5


def request(array: bytes = b"\0" * 12) -> Message:
    flower_inside.identify(RUN, NODE)
    content = RecordDict(
        {
            "array": ArrayRecord({"flat": Array("float32", (3,), "wardround.float32", array)}),
            "words": ConfigRecord({"study": "{}"}),
            "numbers": MetricRecord({"round": 1}),
        }
    )
    return Message(content, NODE, "train.round", ttl=60.0)


ONE = deflate(request())
"""The same in every example: a message's name holds when it was made."""


def handed_over(one: Deflated) -> bytes:
    head, tree = MessageProto.FromString(one.head), ObjectTree.FromString(one.tree)
    return PullMessagesResponse(messages_list=[head], message_object_trees=[tree]).SerializeToString()


def made(kind: str, children: list[str], body: bytes) -> bytes:
    return f"{kind} {','.join(children)} {len(body)}".encode() + b"\0" + body


def name_of(content: bytes) -> str:
    return sha256(content).hexdigest()


def delivered(objects: list[bytes], head: Metadata) -> tuple[bytes, dict[str, bytes]]:
    """A message of these objects, its root the last."""
    *inner, root = [name_of(one) for one in objects]
    tree = ObjectTree(object_id=root, children=[ObjectTree(object_id=name) for name in inner])
    head.message_id = root
    response = PullMessagesResponse(messages_list=[MessageProto(metadata=head)], message_object_trees=[tree])
    return response.SerializeToString(), {name_of(one): one for one in objects}


def demand_dropped(data: bytes, objects: dict[str, bytes]) -> None:
    delivery = delivery_in(data)
    assert delivery is not None
    with pytest.raises(WireError):
        message_of(delivery, objects)


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_message_or_a_wire_error(data: bytes) -> None:
    with suppress(WireError):
        delivery_in(data)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_an_object_or_a_wire_error(data: bytes) -> None:
    for read in (content_id, Weighed().add):
        with suppress(WireError):
            read(data)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_message_with_any_one_byte_changed_is_dropped(data: st.DataObject) -> None:
    objects = dict(ONE.objects)
    name = data.draw(st.sampled_from(sorted(objects)))
    at = data.draw(st.integers(0, len(objects[name]) - 1))
    flipped = bytearray(objects[name])
    flipped[at] ^= data.draw(st.integers(1, 255))
    objects[name] = bytes(flipped)
    demand_dropped(handed_over(ONE), objects)


@pytest.mark.parametrize("name", ["", "../../node.json", "A" * 64, "a" * 63, "é" * 64])
def test_a_name_that_is_no_digest_never_becomes_a_file(tmp_path: Path, name: str) -> None:
    head = Metadata(message_id=name, run_id=RUN, dst_node_id=NODE)
    response = PullMessagesResponse(
        messages_list=[MessageProto(metadata=head)], message_object_trees=[ObjectTree(object_id=name)]
    )
    with pytest.raises(WireError):
        Inbox(tmp_path).put(response.SerializeToString())
    assert not list(tmp_path.rglob("*.json"))


def test_a_message_without_a_tree_of_its_objects_is_dropped() -> None:
    with pytest.raises(WireError):
        delivery_in(PullMessagesResponse(messages_list=[MessageProto()]).SerializeToString())


def test_more_objects_than_the_largest_message_has_are_not_counted_to_their_end() -> None:
    children = [ObjectTree(object_id=f"{number:064x}") for number in range(MOST_OBJECTS + 1)]
    root = "a" * 64
    head = MessageProto(metadata=Metadata(message_id=root))
    tree = ObjectTree(object_id=root, children=children)
    with pytest.raises(WireError):
        delivery_in(PullMessagesResponse(messages_list=[head], message_object_trees=[tree]).SerializeToString())


def test_an_array_that_names_one_piece_a_million_times_is_dropped_before_it_is_put_together() -> None:
    piece = made("ArrayChunk", [], b"\0" * (1 << 20))
    about = {"dtype": "float32", "shape": [1], "stype": "x", "arraychunk_ids": [0] * 500_000}
    array = made("Array", [name_of(piece)], json.dumps(about).encode())
    record = made("ArrayRecord", [name_of(array)], json.dumps({"flat": name_of(array)}).encode())
    records = made("RecordDict", [name_of(record)], json.dumps({"array": name_of(record)}).encode())
    body = MessageProto(metadata=Metadata(run_id=RUN, dst_node_id=NODE)).SerializeToString()
    root = made("Message", [name_of(records)], body)
    demand_dropped(*delivered([piece, array, record, records, root], Metadata(run_id=RUN, dst_node_id=NODE)))


def test_a_record_that_would_become_a_hundred_times_its_size_is_dropped_before_it_is_parsed() -> None:
    from flwr.proto.recorddict_pb2 import ConfigRecord as Proto
    from flwr.proto.recorddict_pb2 import ConfigRecordValue, SintList

    value = ConfigRecordValue(sint_list=SintList(vals=[0] * 200_000))
    body = Proto(items=[Proto.Item(key="a", value=value)]).SerializeToString()
    with pytest.raises(WireError, match="parts"):
        Weighed().add(made("ConfigRecord", [], body))
    with pytest.raises(WireError):
        Weighed().add(made("ConfigRecord", [], b"")[:-2] + b"0\0" + body)  # which says that its body is empty


def test_many_small_objects_are_not_let_in() -> None:
    weighed, small = Weighed(), made("MetricRecord", [], b"")
    for _ in range(MOST_SMALL):
        weighed.add(small)
    with pytest.raises(WireError, match="beside its arrays"):
        weighed.add(small)


def test_a_message_that_speaks_of_another_run_inside_than_outside_is_dropped() -> None:
    one = deflate(request())
    head = MessageProto.FromString(one.head)
    head.metadata.run_id = RUN + 1
    tree = ObjectTree.FromString(one.tree)
    data = PullMessagesResponse(messages_list=[head], message_object_trees=[tree]).SerializeToString()
    demand_dropped(data, dict(one.objects))


def test_a_message_that_is_an_error_asks_nothing_of_a_hospital() -> None:
    flower_inside.identify(RUN, NODE)
    from common.wire.message_bytes import node_error

    one = deflate(node_error("x", request()))
    demand_dropped(handed_over(one), dict(one.objects))


def test_what_lies_damaged_in_an_inbox_or_outbox_is_put_away_and_links_are_not_followed(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    entry = inbox.put(handed_over(deflate(request())))
    (tmp_path / FOLDER / f"{'b' * 64}.json").write_text('{"tries": "x"')
    (tmp_path / FOLDER / f"{'c' * 64}.json").symlink_to(tmp_path / FOLDER / f"{entry.delivery.message_id}.json")
    assert [one.delivery.message_id for one in inbox.waiting()] == [entry.delivery.message_id]
    assert len(list((tmp_path / FOLDER).glob("*.json"))) == 1
    (tmp_path / "outbox").mkdir()
    (tmp_path / "outbox" / "x.reply").write_bytes(b"\xff" * 100)
    Outbox(tmp_path)
    assert not list((tmp_path / "outbox").iterdir())


def test_an_object_that_was_damaged_on_the_disk_is_fetched_again(tmp_path: Path) -> None:
    inbox, content = Inbox(tmp_path), made("MetricRecord", [], b"")
    inbox.keep(name_of(content), content)
    assert inbox.object(name_of(content)) == content
    (tmp_path / OBJECTS / name_of(content)).write_bytes(content[:-1])
    assert inbox.object(name_of(content)) is None


def test_what_stays_on_the_disk_is_bounded_however_many_runs_are_invented(tmp_path: Path) -> None:
    outbox, inbox = Outbox(tmp_path), Inbox(tmp_path)
    for number in range(MOST_REPLIES + 5):
        outbox.keep(About(f"run {number}", number, "train.round", f"{number}", f"m{number}", True), b"reply")
        inbox.keep(f"{number:064x}", b"x" * 1000)
    assert len(list((tmp_path / "outbox").iterdir())) == MOST_REPLIES
    inbox.forget_objects(3500)
    assert len(list((tmp_path / OBJECTS).iterdir())) == 3
    assert Outbox(tmp_path).to_repeat("train.round", f"{MOST_REPLIES + 4}") is not None
