"""A message in Flower's own form: the bytes that Flower makes, and their number without making them."""

from __future__ import annotations

import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from flwr.common.serde import message_to_proto

from common.wire.flower_inside import identify
from common.wire.message_form import content_to_bytes, message_size, message_to_bytes

LENGTHS = (0, 1, 100, 127, 128, 16_300, 16_383, 16_384, 2**21 - 40, 2**21 - 5, 2**21)
"""Around those where a length takes a byte more to say, of the array itself and of all that is around it."""


def message(length: int, records: int) -> Message:
    identify(5, 1)
    content = RecordDict({"words": ConfigRecord({"a": "b" * 90, "c": ["d"]}), "n": MetricRecord({"z": 1.5})})
    for number in range(records):
        held = {f"x{one}": Array("uint8", (length,), "raw", bytes(length)) for one in range(number + 1)}
        content[f"array{number}"] = ArrayRecord(held)
    return Message(content, 3, "train.round", ttl=3.0, group_id="round")


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("records", [1, 2])
def test_a_message_has_the_bytes_that_flower_makes_and_its_size_is_their_number(length: int, records: int) -> None:
    one = message(length, records)
    flowers = message_to_proto(one).SerializeToString()
    assert message_to_bytes(one) == flowers
    assert message_size(one) == len(flowers)


def test_what_has_no_array_or_an_error_in_its_place_is_the_same_too() -> None:
    empty = message(0, 0)
    for one in (empty, Message(RecordDict(), 3, "query"), Message(Error(3, "lost"), reply_to=empty)):
        assert message_to_bytes(one) == message_to_proto(one).SerializeToString()
        assert message_size(one) == len(message_to_bytes(one))


def test_a_content_alone_is_a_message_that_has_nothing_else() -> None:
    one = message(100, 1)
    assert content_to_bytes(one.content) in message_to_bytes(one)
