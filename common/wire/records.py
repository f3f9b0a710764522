"""Payload <-> Flower records, with limits. With `wire_bytes`, the only place of `common` that imports flwr.

One message carries at most one array of raw little-endian float32 and one of opaque bytes, so that nothing that
arrives is ever unpickled or parsed by a general array reader.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from numpy.typing import NDArray

from common.errors import WireError
from common.sums.exchange import Number, Payload, Word
from common.wire.long_form import Buffer

ARRAY_KIND = "wardround.float32"
DATA_KIND = "wardround.bytes"
LARGEST_NUMBER_OF_FIELDS = 1024
LARGEST_WORDS_CHARACTERS = 1 << 20
NUMBER_BYTES = 8
_RECORDS = {"array": ArrayRecord, "data": ArrayRecord, "numbers": MetricRecord, "words": ConfigRecord}


class Written:
    """Arrays in Flower's form, written once where several payloads after one another hold the same one.

    as_they_are: whoever sends them takes a view of an array, which is then not copied at all.
    """

    def __init__(self, as_they_are: bool = False) -> None:
        self._as_they_are = as_they_are
        self._last: tuple[NDArray[np.float32], ArrayRecord] | None = None

    def of(self, array: NDArray[np.float32]) -> ArrayRecord:
        """A record of the array, which nobody changes while this is used."""
        if self._last is None or self._last[0] is not array:
            self._last = array, self._record(np.ascontiguousarray(array, dtype="<f4"), "float32", ARRAY_KIND)
        return self._last[1]

    def of_bytes(self, data: NDArray[np.uint8]) -> ArrayRecord:
        """A record of a protocol's own bytes."""
        return self._record(np.ascontiguousarray(data, dtype=np.uint8), "uint8", DATA_KIND)

    def _record(self, flat: NDArray[Any], dtype: str, kind: str) -> ArrayRecord:
        record = ArrayRecord({"flat": Array(dtype, (flat.size,), kind, b"")})
        is_view = self._as_they_are and flat.size > 0
        record["flat"].data = cast(bytes, flat.data.cast("B").toreadonly()) if is_view else flat.tobytes()
        return record


def to_records(payload: Payload, written: Written | None = None) -> RecordDict:
    """Flower's records of a payload."""
    records, written = RecordDict(), written or Written()
    if payload.array is not None:
        records["array"] = written.of(payload.array)
    if payload.data is not None:
        records["data"] = written.of_bytes(payload.data)
    if payload.numbers:
        records["numbers"] = MetricRecord(dict(payload.numbers))
    if payload.words:
        records["words"] = ConfigRecord(dict(payload.words))
    return records


def content_bytes(records: RecordDict) -> int:
    """Bytes of what records hold, without what any wire form adds."""
    arrays = (one for record in records.values() if isinstance(record, ArrayRecord) for one in record.values())
    others = (one for record in records.values() if not isinstance(record, ArrayRecord) for one in record.values())
    return sum(len(one.data) for one in arrays) + sum(map(_bytes_of, others))


def _bytes_of(value: object) -> int:
    if isinstance(value, list):
        return sum(map(_bytes_of, value))
    return len(value) if isinstance(value, (str, bytes)) else NUMBER_BYTES


def from_records(records: RecordDict, largest_array: int, largest_data: int = 0) -> Payload:
    """The payload of Flower records, at most `largest_array` numbers and `largest_data` bytes.

    Raises WireError naming the failed check.
    """
    for key, record in records.items():
        if key not in _RECORDS or not isinstance(record, _RECORDS[key]):
            raise WireError("a record that is not array, data, numbers or words came.")
    return Payload(
        _array(records.get("array"), largest_array),
        _numbers(records.get("numbers")),
        _words(records.get("words")),
        _data(records.get("data"), largest_data),
    )


def _array(record: object, largest: int) -> NDArray[np.float32] | None:
    flat = _flat(record, "flat float32", "float32", ARRAY_KIND, largest, "numbers")
    return None if flat is None else np.frombuffer(flat, dtype="<f4").astype(np.float32, copy=False)


def _data(record: object, largest: int) -> NDArray[np.uint8] | None:
    flat = _flat(record, "flat bytes", "uint8", DATA_KIND, largest, "bytes")
    return None if flat is None else np.frombuffer(flat, dtype=np.uint8)


def _flat(record: object, what: str, dtype: str, kind: str, largest: int, unit: str) -> Buffer | None:
    """The bytes of the one array of a record, its form checked."""
    if record is None:
        return None
    assert isinstance(record, ArrayRecord)
    if list(record) != ["flat"]:
        raise WireError("an array record must hold one array, 'flat'.")
    array = record["flat"]
    if array.stype != kind or array.dtype != dtype or len(array.shape) != 1:
        raise WireError(f"the array is not {what}.")
    size = array.shape[0]
    if size > largest:
        raise WireError(f"the array holds {size} {unit}; at most {largest} are allowed.")
    if len(array.data) != np.dtype(dtype).itemsize * size:
        raise WireError("the array's bytes do not fit its shape.")
    return array.data


def _numbers(record: object) -> dict[str, Number]:
    if record is None:
        return {}
    assert isinstance(record, MetricRecord)
    if len(record) > LARGEST_NUMBER_OF_FIELDS:
        raise WireError(f"more than {LARGEST_NUMBER_OF_FIELDS} numbers came.")
    for value in record.values():
        parts = value if isinstance(value, list) else [value]
        if len(parts) > LARGEST_NUMBER_OF_FIELDS or not all(math.isfinite(part) for part in parts):
            raise WireError("a number is not finite, or a list of numbers is too long.")
    return dict(record)


def _words(record: object) -> dict[str, Word]:
    if record is None:
        return {}
    assert isinstance(record, ConfigRecord)
    words: dict[str, Word] = {}
    for key, value in record.items():
        if isinstance(value, str):
            words[key] = value
        elif isinstance(value, list) and all(isinstance(part, str) for part in value):
            words[key] = [str(part) for part in value]
        else:
            raise WireError("a word is not text.")
    characters = sum(len(k) + sum(map(len, v)) if isinstance(v, list) else len(k) + len(v) for k, v in words.items())
    if len(words) > LARGEST_NUMBER_OF_FIELDS or characters > LARGEST_WORDS_CHARACTERS:
        raise WireError(f"more than {LARGEST_WORDS_CHARACTERS} characters of words came.")
    return words
