"""Inputs that no honest peer sends: random bytes, and valid messages changed in ways that a reader may trip over."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord
from flwr.common.serde import array_record_to_proto, config_record_to_proto, metric_record_to_proto
from flwr.proto.message_pb2 import Message as MessageProto
from flwr.proto.recorddict_pb2 import RecordDict

from common.sums.exchange import Number, Payload, Word

Input = bytes | Payload
LARGEST_RANDOM, BLOATED, LARGEST_BLOATED = 4096, 0.001, 1 << 22
"""Bytes of random messages; share and bytes of those made to become as many objects as they can."""
EXTREMES = (0, 1, -1, 2, 255, 1 << 16, (1 << 31) - 1, 1 << 31, 1 << 32, (1 << 62) - 1, (1 << 63) - 1, -(1 << 63))
FLOATS = (0.0, -0.0, 1.0, -1.0, 5e-324, 1e-300, 1.7e308, -1.7e308, float("inf"), float("-inf"), float("nan"))
TEXTS = ("", "0", "hospital-00", "hospital-99", "training", "gradient", "\x00", "é" * 40, "a" * 5000, "{" * 900, "[]")


def changed(sample: Input, other: Input, rng: Random) -> Input:
    """One input made of a valid one; now and then of another valid one as well, or of nothing."""
    if isinstance(sample, bytes):
        assert isinstance(other, bytes)
        return _changed_message(sample, other, rng)
    assert isinstance(other, Payload)
    for _ in range(rng.choice((1, 1, 2, 4))):
        sample = rng.choice(_PAYLOAD_CHANGES)(sample, other, rng)
    return sample


def _changed_message(data: bytes, other: bytes, rng: Random) -> bytes:
    draw = rng.random()
    if draw < BLOATED:
        return _bloated(rng)
    if draw < 0.1:
        return rng.randbytes(rng.randrange(LARGEST_RANDOM))
    if draw < 0.5:
        data = _changed_fields(data, rng)
    return data if 0.3 < draw < 0.5 else changed_bytes(data, other, rng)


def _bloated(rng: Random) -> bytes:
    """One of the fields of a message, over and over, or a list of numbers that takes one byte each."""
    path = rng.choice(
        ((2, 1), (2, 1, 2, 1), (2, 1, 3, 1), (2, 1, 4, 1), (2, 1, 3, 1, 2, 22, 1), (2, 1, 4, 1, 2, 25, 1))
    )
    size = rng.choice((1 << 12, 1 << 16, 1 << 20, LARGEST_BLOATED))
    content = _field(1, b"\x02" * size) if path[-2] == 22 else _field(path[-1], b"") * (size // 3)
    for number in reversed(path[:-1]):
        content = _field(number, content)
    return content


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    octets = []
    while number >= 0x80:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*octets, number])


def changed_bytes(data: bytes, other: bytes, rng: Random) -> bytes:
    """Bits flipped, parts cut, doubled, spliced or overwritten with extremes."""
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        data = rng.choice(_BYTE_CHANGES)(data, other, rng)
    return data


def _flip(data: bytes, other: bytes, rng: Random) -> bytes:
    if not data:
        return b"\x00"
    place, raw = rng.randrange(len(data)), bytearray(data)
    raw[place] ^= 1 << rng.randrange(8)
    return bytes(raw)


def _cut(data: bytes, other: bytes, rng: Random) -> bytes:
    start, end = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    return data[:start] + data[end:] if rng.random() < 0.5 else data[:end]


def _splice(data: bytes, other: bytes, rng: Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _double(data: bytes, other: bytes, rng: Random) -> bytes:
    start, end = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    return data[:end] + data[start:]


def _overwrite(data: bytes, other: bytes, rng: Random) -> bytes:
    place = rng.randrange(len(data) + 1)
    stretch = rng.choice((_extreme(rng), b"\xff" * 9 + b"\x01", bytes(rng.randrange(1, 40)), rng.randbytes(8)))
    return data[:place] + stretch + data[place + len(stretch) :]


def _insert(data: bytes, other: bytes, rng: Random) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.choice((_extreme(rng), rng.randbytes(rng.randrange(1, 20)))) + data[place:]


def _all_alike(data: bytes, other: bytes, rng: Random) -> bytes:
    return rng.choice((b"\x00", b"\xff", b"\x7f")) * len(data)


def _noise(data: bytes, other: bytes, rng: Random) -> bytes:
    return rng.randbytes(len(data))


def _extreme(rng: Random) -> bytes:
    if rng.random() < 0.3:
        return struct.pack(rng.choice(("<d", ">d")), rng.choice(FLOATS))
    return struct.pack("<Q", rng.choice(EXTREMES) & (1 << 64) - 1)[: rng.choice((1, 2, 4, 8))]


_BYTE_CHANGES: Sequence[Callable[[bytes, bytes, Random], bytes]] = (
    _flip,
    _flip,
    _flip,
    _cut,
    _splice,
    _double,
    _overwrite,
    _insert,
    _all_alike,
    _noise,
)


def _data(sample: Payload, other: Payload, rng: Random) -> Payload:
    own = b"" if sample.data is None else sample.data.tobytes()
    raw = changed_bytes(own, b"" if other.data is None else other.data.tobytes(), rng)
    return replace(sample, data=None if rng.random() < 0.03 else np.frombuffer(raw, np.uint8))


def _array(sample: Payload, other: Payload, rng: Random) -> Payload:
    values = np.zeros(3, np.float32) if sample.array is None else sample.array.copy()
    draw = rng.random()
    if draw < 0.1:
        return replace(sample, array=None)
    if draw < 0.4 or not values.size:
        return replace(sample, array=np.resize(values, rng.choice((0, 1, 2, values.size + 1, 2 * values.size))))
    with np.errstate(over="ignore"):
        values[rng.randrange(values.size)] = rng.choice((*FLOATS, 3e38, -3e38, 1e-45))
    return replace(sample, array=values if draw < 0.9 else np.full_like(values, rng.choice((3e38, -3e38, 0.0))))


def _number(sample: Payload, other: Payload, rng: Random) -> Payload:
    numbers = dict(sample.numbers)
    name = rng.choice([*numbers, *other.numbers, "weight", "training/" + rng.choice(TEXTS), "roc_positives_00"])
    if rng.random() < 0.15:
        numbers.pop(name, None)
    else:
        numbers[name] = any_number(rng)
    return replace(sample, numbers=numbers)


def any_number(rng: Random) -> Number:
    """Whatever Flower's MetricRecord may hold, and what it may not: not finite."""
    draw = rng.random()
    if draw < 0.4:
        return rng.choice(EXTREMES)
    if draw < 0.6:
        return rng.choice(FLOATS)
    if draw < 0.85:
        return [rng.choice(EXTREMES) for _ in range(rng.choice((0, 1, 2, 2, 2, 3, 50)))]
    return [rng.choice(FLOATS) for _ in range(rng.choice((0, 1, 2, 3)))]


def _word(sample: Payload, other: Payload, rng: Random) -> Payload:
    words = dict(sample.words)
    name = rng.choice([*words, *other.words, "incident", "refused", "site", rng.choice(TEXTS)])
    if rng.random() < 0.15:
        words.pop(name, None)
    else:
        words[name] = any_word(words.get(name), rng)
    return replace(sample, words=words)


def any_word(known: Word | None, rng: Random) -> Word:
    """Text, a list of texts, or a list that was there and is now of another order or length."""
    draw = rng.random()
    if isinstance(known, list) and known and draw < 0.5:
        return rng.choice((known[::-1], known[1:], known + known[:1], known[:-1], [*known, rng.choice(TEXTS)]))
    if draw < 0.75:
        return rng.choice(TEXTS)
    return [rng.choice(TEXTS) for _ in range(rng.choice((0, 1, 2, 5)))]


def _swapped(sample: Payload, other: Payload, rng: Random) -> Payload:
    """Parts of two valid messages."""
    pick = rng.choice(("array", "data", "numbers", "words"))
    return replace(sample, **{pick: getattr(other, pick)})


_PAYLOAD_CHANGES: Sequence[Callable[[Payload, Payload, Random], Payload]] = (
    _data,
    _data,
    _data,
    _array,
    _number,
    _number,
    _word,
    _swapped,
)


def _changed_fields(data: bytes, rng: Random) -> bytes:
    """Valid Protocol Buffers of another meaning than ours."""
    message = MessageProto.FromString(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice(_FIELD_CHANGES)(message, rng)
    return message.SerializeToString()


def _another_array(message: MessageProto, rng: Random) -> None:
    size = rng.choice((0, 1, 7, 40))
    shape = [max(-(1 << 31), min((1 << 31) - 1, rng.choice(EXTREMES))) for _ in range(rng.choice((0, 1, 1, 3)))]
    dtype, kind = (
        rng.choice(("float32", "uint8", "float64", "O", "")),
        rng.choice(("wardround.bytes", "numpy.ndarray", "")),
    )
    record = ArrayRecord({"flat": Array(dtype=dtype, shape=tuple(shape), stype=kind, data=rng.randbytes(size))})
    _item(message, rng).array_record.CopyFrom(array_record_to_proto(record))


def _another_number(message: MessageProto, rng: Random) -> None:
    record = MetricRecord({rng.choice(TEXTS): any_number(rng)})
    _item(message, rng).metric_record.CopyFrom(metric_record_to_proto(record))


def _another_word(message: MessageProto, rng: Random) -> None:
    values = (any_word(None, rng), rng.randbytes(9), [rng.randbytes(3)], True, [True], 1.5, [1, 2])
    record = ConfigRecord({rng.choice(TEXTS): rng.choice(values)})
    _item(message, rng).config_record.CopyFrom(config_record_to_proto(record))


def _emptied(message: MessageProto, rng: Random) -> None:
    message.ClearField(rng.choice(("content", "metadata", "error")))


def _failed(message: MessageProto, rng: Random) -> None:
    message.error.code = rng.choice((0, 1, 9, 9001, 9002, -5, 1 << 40))
    message.error.reason = rng.choice(TEXTS)


def _readdressed(message: MessageProto, rng: Random) -> None:
    message.metadata.reply_to_message_id = rng.choice(TEXTS)
    message.metadata.ttl = rng.choice(FLOATS)
    message.metadata.created_at = rng.choice(FLOATS)
    message.metadata.message_type = rng.choice(
        ("", "train", "train.round", "query.hello", "x" * 99, "query.protocol")
    )


def _item(message: MessageProto, rng: Random) -> RecordDict.Item:
    items = message.content.items
    if not items or rng.random() < 0.3:
        item = items.add()
        item.key = rng.choice(("array", "data", "numbers", "words", rng.choice(TEXTS)))
        return item
    return rng.choice(items)


_FIELD_CHANGES: Sequence[Callable[[MessageProto, Random], None]] = (
    _another_array,
    _another_number,
    _another_word,
    _emptied,
    _failed,
    _readdressed,
)
