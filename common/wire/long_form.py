"""A message of large arrays: its form without their bytes, then these, so that they are neither copied nor parsed.

Protocol Buffers hold 2 GiB at most, and copy an array twice on the way in and twice on the way out. Here they stand
behind the form as they are, in its order, each at a place that their lengths give:

    16 bytes that no message of Flower's begins with, the form's length (8 bytes), the number of arrays (8 bytes),
    their lengths (8 bytes each), the form, zeros up to a multiple of 64 bytes, and all arrays' bytes. Numbers are
    little-endian.

A reader's arrays are parts of what came, and nothing else is as large.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import cast

from flwr.app import Array, ArrayRecord, RecordDict

from common.errors import WireError

LONG_FROM = 1 << 23
"""Bytes of arrays from which a message has this form."""
MARK = b"\0wardround long\1"
_ALIGNED = 64
_NUMBER = struct.Struct("<Q")
MOST_ARRAYS = 1 << 12

Buffer = bytes | memoryview


def arrays_of(records: RecordDict) -> list[Array]:
    """All arrays of a content, in the order of its form."""
    return [one for record in records.values() if isinstance(record, ArrayRecord) for one in record.values()]


def is_long(records: RecordDict) -> bool:
    """Whether a content is sent so."""
    return sum(len(one.data) for one in arrays_of(records)) >= LONG_FROM


def parts_of(form: bytes, records: RecordDict) -> list[Buffer]:
    """A message's bytes, in parts. form: without the bytes of its arrays."""
    data = [one.data for one in arrays_of(records)]
    head = b"".join([MARK, *map(_NUMBER.pack, (len(form), len(data), *map(len, data))), form])
    return [head + bytes(-len(head) % _ALIGNED), *data]


def size_of(form_bytes: int, records: RecordDict) -> int:
    """Bytes of all parts. form_bytes: of the form without arrays."""
    lengths = [len(one.data) for one in arrays_of(records)]
    head = len(MARK) + _NUMBER.size * (2 + len(lengths)) + form_bytes
    return head + -head % _ALIGNED + sum(lengths)


def has_mark(data: Buffer) -> bool:
    """Whether these bytes are to be read so."""
    return data[: len(MARK)] == MARK


def taken_apart(data: Buffer) -> tuple[bytes, list[memoryview]]:
    """The form and the arrays' bytes, which are parts of `data`. Raises WireError where lengths do not fit."""
    whole = memoryview(data).toreadonly()
    at = len(MARK)
    form_bytes, count = _numbers(whole, at, 2)
    if count > MOST_ARRAYS:
        raise WireError(f"a message holds more than {MOST_ARRAYS} arrays.")
    at += 2 * _NUMBER.size
    lengths = _numbers(whole, at, count)
    at += count * _NUMBER.size
    begin = at + form_bytes + -(at + form_bytes) % _ALIGNED
    if begin + sum(lengths) != len(whole) or any(whole[at + form_bytes : begin]):
        raise WireError("a message is not as long as its arrays.")
    arrays = []
    for length in lengths:
        arrays.append(whole[begin : begin + length])
        begin += length
    return bytes(whole[at : at + form_bytes]), arrays


def filled(records: RecordDict, data: Sequence[memoryview]) -> RecordDict:
    """The content that came without its arrays' bytes, with these. Raises WireError where it holds others."""
    arrays = arrays_of(records)
    if len(arrays) != len(data) or any(one.data for one in arrays):
        raise WireError("a message's form does not fit its arrays.")
    for array, own in zip(arrays, data, strict=True):
        array.data = cast(bytes, own)  # read like bytes, and never copied
    return records


def _numbers(whole: memoryview, at: int, count: int) -> list[int]:
    if at + count * _NUMBER.size > len(whole):
        raise WireError("a message is cut short.")
    return [_NUMBER.unpack_from(whole, at + place * _NUMBER.size)[0] for place in range(count)]
