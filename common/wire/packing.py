"""All of a message's content in one record: what a message costs on Flower's way is its number of parts, not bytes.

Every record, array and chunk of an array is an object of its own there, with an HTTP request of its own at every hop,
written to the SuperLink's data base and read from it again: seven for an order to train. A small content packed so
is three: the message, its records, and one record of bytes. A large one is an array of bytes, which Flower cuts into
chunks: five, and one more for each 5 MiB after the first.
"""

from __future__ import annotations

from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from common.errors import WireError
from common.wire.message_bytes import content_from_bytes, content_to_bytes

PACKED = "packed"
ARRAY_KIND = "wardround.packed"
LARGEST_IN_A_RECORD = 1 << 20
"""Bytes: Flower sends a record in one piece, and copies it some ten times on the way."""


def packed(records: RecordDict) -> RecordDict:
    """The same content in one record."""
    data = content_to_bytes(records)
    if len(data) <= LARGEST_IN_A_RECORD:
        return RecordDict({PACKED: ConfigRecord({PACKED: data})})
    array = Array(dtype="uint8", shape=(len(data),), stype=ARRAY_KIND, data=data)
    return RecordDict({PACKED: ArrayRecord({PACKED: array})})


def is_packed(records: RecordDict) -> bool:
    """Whether `unpacked` has something to do."""
    return PACKED in records


def unpacked(records: RecordDict) -> RecordDict:
    """The content that was packed, or the records themselves where nothing was.

    Raises WireError where it is not in the form that `packed` gives it, or holds what no message may.
    """
    if not is_packed(records):
        return records
    if len(records) != 1:
        raise WireError("a packed content came beside other records.")
    inner = content_from_bytes(_bytes(records[PACKED]))
    if is_packed(inner):
        raise WireError("a packed content holds another.")
    return inner


def _bytes(record: object) -> bytes:
    if isinstance(record, ConfigRecord | ArrayRecord) and list(record) == [PACKED]:
        value = record[PACKED]
        if isinstance(value, bytes):
            return value
        if isinstance(value, Array) and value.stype == ARRAY_KIND and value.shape == (len(value.data),):
            return value.data
    raise WireError("a packed content is not one record of bytes.")
