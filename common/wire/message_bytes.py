"""Flower messages as the bytes that cross the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from flwr.app import Error, Message, Metadata, RecordDict
from flwr.app.message import make_message

from common.errors import WireError
from common.wire import flower_inside, long_form, message_form
from common.wire._outline import check_outline
from common.wire.boundary import guarded
from common.wire.flower_inside import RunNotRunningException
from common.wire.flower_inside import identify as identify  # noqa: PLC0414 - others take it from here
from common.wire.flower_inside import name_message as name_message  # noqa: PLC0414 - others take it from here
from common.wire.long_form import Buffer

ENGINE_ERROR = 9001
"""Error code of replies that our own engine makes in place of a hospital; their reason is the engine's text."""
NODE_ERROR = 9002
"""Error code of a hospital whose app raised; the reason is an incident's number, never an exception's text."""

LOST_REQUEST, LOST_REPLY, NO_SIGN_OF_LIFE = 3, 4, 5
"""Error codes of replies that Flower itself makes in place of a hospital whose message it could not bring."""
RunIsOver = RunNotRunningException
"""Raised by Flower's grid once its run was stopped."""


def to_parts(message: Message) -> list[Buffer]:
    """The message in Flower's own form, or the long one, where arrays are parts of their own, as they are."""
    return message_form.message_parts(message)


def to_bytes(message: Message) -> bytes:
    """All parts together."""
    return message_form.message_to_bytes(message)


def from_bytes(data: Buffer) -> Message:
    """The message in `data`. Raises WireError where it is none, or would take far more memory than its bytes."""
    return guarded(partial(_from_bytes, data))


def _from_bytes(data: Buffer) -> Message:
    if not long_form.has_mark(data):
        short = bytes(data)
        check_outline(short)
        return flower_inside.message_from_bytes(short)
    form, arrays = long_form.taken_apart(data)
    check_outline(form)
    message = flower_inside.message_from_bytes(form)
    if not message.has_content():
        raise WireError("a message of arrays holds none.")
    long_form.filled(message.content, arrays)
    return message


def from_own_bytes(data: bytes) -> Message:
    """The message in bytes that this process made itself, however it holds its numbers: for benchmarks of peers."""
    if not long_form.has_mark(data):
        return flower_inside.message_from_bytes(data)
    message = _from_bytes(data)
    for array in long_form.arrays_of(message.content):
        array.data = bytes(array.data)  # for Flower, which cuts and sends them
    return message


def size_of(message: Message) -> int:
    """Bytes of the message as serialised."""
    return message_form.message_size(message)


def content_to_bytes(records: RecordDict) -> bytes:
    """A message's content alone, in the form of a message that has nothing else."""
    return message_form.content_to_bytes(records)


def content_from_bytes(data: Buffer) -> RecordDict:
    """The content in `data`. Raises WireError as `from_bytes` does."""
    return guarded(partial(_content_from_bytes, data))


def _content_from_bytes(data: Buffer) -> RecordDict:
    if not long_form.has_mark(data):
        short = bytes(data)
        check_outline(short)
        return flower_inside.content_from_bytes(short)
    form, arrays = long_form.taken_apart(data)
    check_outline(form)
    return long_form.filled(flower_inside.content_from_bytes(form), arrays)


def engine_error(reason: str, reply_to: Message) -> Message:
    """The reply an engine makes for a hospital that cannot answer."""
    return Message(Error(ENGINE_ERROR, reason), reply_to=reply_to)


def node_error(reason: str, reply_to: Message) -> Message:
    """The reply a hospital's node makes where its app could not."""
    return Message(Error(NODE_ERROR, reason), reply_to=reply_to)


def lost_on_the_way(request: Message) -> Message:
    """The reply that Flower makes to a request that it could not deliver."""
    return Message(Error(LOST_REQUEST, ""), reply_to=request)


def lost_reply(run_id: int, node_id: int, request_id: str) -> Message:
    """What Flower says in the place of a reply that did not come whole."""
    told = Metadata(
        run_id=run_id,
        message_id="",
        src_node_id=node_id,
        dst_node_id=node_id,
        reply_to_message_id=request_id,
        group_id="",
        created_at=datetime.now(UTC).timestamp(),
        ttl=0,
        message_type="system",
    )
    return make_message(told, error=Error(LOST_REPLY, ""))


def without_content(message: Message) -> Message:
    """Whose a message is; what it says may be let go."""
    return make_message(message.metadata, content=RecordDict())


def as_reply_to(reply: Message, request_id: str, records: RecordDict | None) -> Message:
    """The reply, as one to the request of that name; records: its content, where it has one."""
    reply.metadata.__dict__["_reply_to_message_id"] = request_id
    if records is not None:
        reply.content = records
    return reply
