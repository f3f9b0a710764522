"""What a message is made of, as far as it is let in: every object checked by its name before it is kept or parsed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import partial
from hashlib import sha256

from flwr.app import Message

from common.errors import WireError
from common.wire._outline import check_record
from common.wire.boundary import guarded
from common.wire.flower_inside import Delivery, inflate, parts_of, read_delivery

MOST_OBJECTS = 4096
"""Twice as many as the pieces of the largest message."""
LARGEST_MESSAGE_BYTES = 1 << 30
"""Of one message, where nobody said how much is due."""
LARGEST_SMALL_BYTES = 1 << 21
"""Of everything but pieces of arrays, together: it becomes Python objects of many times its size."""
MOST_SMALL = 256
PIECE = "ArrayChunk"
_NAME = re.compile(r"[0-9a-f]{64}")
_KINDS = frozenset({"Message", "RecordDict", "ArrayRecord", "Array", PIECE, "MetricRecord", "ConfigRecord"})


def delivery_in(data: bytes) -> Delivery | None:
    """The message that a SuperLink handed over, None where it handed over none. Raises WireError."""
    delivery = guarded(partial(read_delivery, data, MOST_OBJECTS))
    return None if delivery is None else demand_sound(delivery)


def demand_sound(delivery: Delivery) -> Delivery:
    """The delivery. Raises WireError where its objects are no tree of names with the message as its root."""
    if not all(_NAME.fullmatch(name) for name in (delivery.message_id, *delivery.objects)):
        raise WireError("an object's name is no SHA-256.")
    if delivery.message_id != delivery.objects[-1]:
        raise WireError("a message is not the root of its own objects.")
    return delivery


def demand_named(name: str, content: bytes) -> None:
    """Raise WireError where the content of an object is not what its name says."""
    if sha256(content).hexdigest() != name:
        raise WireError("an object is not what its name says.")


def content_id(message_object: bytes) -> str:
    """The name of a message's content, which is that of all it says; "" where it says nothing. Raises WireError."""
    kind, children, _ = guarded(partial(parts_of, message_object))
    if kind != "Message" or len(children) > 1:
        raise WireError("a message's own object is none.")
    return children[0] if children else ""


class Weighed:
    """How much a message has brought so far. Raises WireError beyond what is let in, `largest_bytes` in all."""

    def __init__(self, largest_bytes: int = LARGEST_MESSAGE_BYTES) -> None:
        self._largest_bytes = largest_bytes
        self.all_bytes = self.small_bytes = self.small = 0

    def add(self, content: bytes) -> None:
        """Another object of it, of a kind that there is, with a body that may be parsed."""
        kind, _, body = guarded(partial(parts_of, content))
        if kind not in _KINDS:
            raise WireError("an object is of no kind that messages have.")
        self.all_bytes += len(content)
        if kind != PIECE:
            self.small_bytes += len(content)
            self.small += 1
        if self.all_bytes > self._largest_bytes:
            raise WireError(f"a message holds more than {self._largest_bytes} bytes.")
        if self.small_bytes > LARGEST_SMALL_BYTES or self.small > MOST_SMALL:
            raise WireError(f"a message holds more than {LARGEST_SMALL_BYTES} bytes beside its arrays.")
        if kind in ("MetricRecord", "ConfigRecord"):
            check_record(body, kind)


def message_of(
    delivery: Delivery,
    objects: Mapping[str, bytes],
    may_be_error: bool = False,
    largest_bytes: int = LARGEST_MESSAGE_BYTES,
) -> Message:
    """The message that its objects make. Raises WireError where they make none, or another than was announced.

    may_be_error: a reply may say that there is none. largest_bytes: of all of them.
    """
    weighed = Weighed(largest_bytes)
    for name in delivery.objects:
        demand_named(name, objects[name])
        weighed.add(objects[name])
    guarded(partial(_demand_no_swelling, delivery.message_id, objects, largest_bytes))
    message = guarded(partial(inflate, delivery.message_id, objects))
    told = message.metadata
    announced = (delivery.run_id, delivery.node_id, delivery.reply_to)
    is_whole = message.has_content() or (may_be_error and message.has_error())
    if (told.run_id, told.dst_node_id, told.reply_to_message_id) != announced or not is_whole:
        raise WireError("a message is not the one that was announced.")
    return message


def _demand_no_swelling(root: str, objects: Mapping[str, bytes], largest_bytes: int) -> None:
    """An array may name one piece many times, and a record one array: a megabyte of names would make a terabyte."""
    if _unfolded_bytes(root, objects, {}) > largest_bytes:
        raise WireError(f"a message unfolds to more than {largest_bytes} bytes.")


def _unfolded_bytes(name: str, objects: Mapping[str, bytes], known: dict[str, int]) -> int:
    if name not in known:
        kind, children, body = parts_of(objects[name])
        named: Iterable[str] = children
        if kind == "Array":
            named = [children[at] for at in json.loads(body)["arraychunk_ids"]]
        elif kind in ("ArrayRecord", "RecordDict"):
            named = json.loads(body).values()
        known[name] = len(body) + sum(_unfolded_bytes(one, objects, known) for one in named)
    return known[name]
