"""All of a content in one record, and back to the bit; whatever else comes under that name is refused."""

from __future__ import annotations

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.errors import WireError
from common.sums.exchange import Payload
from common.wire.message_bytes import content_to_bytes, identify
from common.wire.packing import LARGEST_IN_A_RECORD, PACKED, packed, unpacked
from common.wire.records import from_records, to_records

ORDER = Payload(np.arange(100_000, dtype=np.float32), {"round": 1, "clip_norm": 0.0}, {"study": "{}", "run": "ab"})


@given(
    arrays(np.float32, st.integers(0, 40), elements=st.floats(width=32)),
    st.dictionaries(st.text(max_size=4), st.integers(-9, 9), max_size=3),
    st.dictionaries(st.text(max_size=4), st.text(max_size=9), max_size=3),
)
def test_every_content_comes_back_bit_for_bit(
    array: np.ndarray, numbers: dict[str, int], words: dict[str, str]
) -> None:
    content = to_records(Payload(array, numbers, words, np.arange(5, dtype=np.uint8)))
    assert content_to_bytes(unpacked(packed(content))) == content_to_bytes(content)


def parts(content: RecordDict) -> int:
    identify(1, 1)
    return len(get_all_nested_objects(Message(content, 2, "train.round")))


@pytest.mark.parametrize(("numbers", "before", "after"), [(100_000, 7, 3), (1_000_000, 7, 5), (3_000_000, 9, 7)])
def test_a_message_has_fewer_parts_packed(numbers: int, before: int, after: int) -> None:
    """One HTTP request a part and hop; an array is cut into chunks of 5 MiB."""
    content = to_records(Payload(np.zeros(numbers, np.float32) + np.arange(numbers), ORDER.numbers, ORDER.words))
    assert parts(content) == before
    assert parts(packed(content)) == after
    whole = from_records(unpacked(packed(content)), numbers).array
    assert whole is not None and whole.tobytes() == from_records(content, numbers).array.tobytes()  # type: ignore[union-attr]


def test_what_was_not_packed_is_left_as_it_is() -> None:
    content = to_records(ORDER)
    assert unpacked(content) is content


def array_of(data: bytes, **changes: object) -> ArrayRecord:
    fields = {"dtype": "uint8", "shape": (len(data),), "stype": "wardround.packed", "data": data} | changes
    return ArrayRecord({PACKED: Array(**fields)})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "hostile",
    [
        RecordDict({PACKED: ConfigRecord({PACKED: "text"})}),
        RecordDict({PACKED: ConfigRecord({PACKED: b"\xff\xff"})}),
        RecordDict({PACKED: ConfigRecord({PACKED: b"", "more": 1})}),
        RecordDict({PACKED: ConfigRecord({PACKED: b""}), "words": ConfigRecord({"a": "b"})}),
        RecordDict({PACKED: array_of(b"\xff\xff")}),
        RecordDict({PACKED: array_of(b"", stype="numpy.ndarray")}),
        RecordDict({PACKED: array_of(b"", shape=(9,))}),
        packed(packed(to_records(ORDER))),
        RecordDict({PACKED: ConfigRecord({PACKED: b"\x12" * (LARGEST_IN_A_RECORD + 1)})}),
    ],
)
def test_a_hostile_packing_is_refused(hostile: RecordDict) -> None:
    with pytest.raises(WireError):
        unpacked(hostile)
