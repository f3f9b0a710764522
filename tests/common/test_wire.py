from __future__ import annotations

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.errors import WireError
from common.sums.exchange import Payload
from common.wire.records import ARRAY_KIND, from_records, to_records


def raw(**changes: object) -> RecordDict:
    fields = {"dtype": "float32", "shape": (2,), "stype": ARRAY_KIND, "data": bytes(8)} | changes
    return RecordDict({"array": ArrayRecord({"flat": Array(**fields)})})


@given(arrays(np.float32, st.integers(0, 40), elements=st.floats(width=32)))
def test_every_float32_array_comes_back_bit_for_bit(array: np.ndarray) -> None:
    back = from_records(to_records(Payload(array)), largest_array=40).array
    assert back is not None
    assert back.tobytes() == array.tobytes()


def test_numbers_and_words_come_back() -> None:
    payload = Payload(None, {"a": 1, "b": 2.5, "c": [1, -2]}, {"who": "ward", "what": ["x", "y"]})
    assert from_records(to_records(payload), 0) == payload


@pytest.mark.parametrize(
    ("records", "said"),
    [
        (raw(dtype="float64"), "not flat float32"),
        (raw(stype="numpy.ndarray"), "not flat float32"),
        (raw(shape=(1, 2)), "not flat float32"),
        (raw(shape=(3,)), "do not fit its shape"),
        (raw(shape=(9,), data=bytes(36)), "at most 8"),
        (RecordDict({"array": MetricRecord({"a": 1})}), "not array, data, numbers or words"),
        (RecordDict({"extra": MetricRecord({"a": 1})}), "not array, data, numbers or words"),
        (RecordDict({"numbers": MetricRecord({"a": float("nan")})}), "not finite"),
        (RecordDict({"words": ConfigRecord({"a": b"bytes"})}), "not text"),
        (RecordDict({"words": ConfigRecord({"a": "x" * (1 << 21)})}), "characters of words"),
        (RecordDict({"array": ArrayRecord({})}), "one array"),
    ],
)
def test_a_hostile_record_is_refused_with_the_failed_check(records: RecordDict, said: str) -> None:
    with pytest.raises(WireError, match=said):
        from_records(records, largest_array=8)
