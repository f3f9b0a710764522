"""Everything that we use of Flower's undocumented modules; no other file of ours imports one.

Flower promises nothing of them, so Flower is pinned, and `tests/common/test_flower_inside.py` is the contract: names,
signatures, fields of messages, headers, and what we rely on of their behaviour. What a program needs only where it
speaks to a SuperLink is imported where it is used: a hospital of a simulation never does.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from flwr.app import Message, RecordDict
from flwr.common.serde import message_from_proto, message_to_proto, recorddict_from_proto, recorddict_to_proto
from flwr.common.serde_utils import error_to_proto, metadata_to_proto
from flwr.proto.message_pb2 import Message as MessageProto
from flwr.proto.message_pb2 import ObjectTree
from flwr.supercore.constant import HEAD_BODY_DIVIDER, HEAD_VALUE_DIVIDER
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.run import Run as Run  # noqa: PLC0414 - others take it from here
from flwr.supercore.run import RunNotRunningException as RunNotRunningException  # noqa: PLC0414 - others take it from here
from flwr.supercore.task_identity import TaskIdentity

if TYPE_CHECKING:
    import httpx
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from flwr.serverapp import Grid
    from flwr.supercore.protobuf.client import ProtobufCall, ProtobufRequestContext

Form = MessageProto
"""A message as Protocol Buffers."""
FLOWER = "1.41"
"""The minor version whose inside this is."""
COMPONENT = "SuperNode"
"""What we are to a SuperLink."""
HEARTBEAT_S = 30.0
"""What a node tells a SuperLink: after twice as long without a heartbeat it counts as gone."""


def bare_form(message: Message) -> Form:
    """Whose a message is, and its error, without its content."""
    error = error_to_proto(message.error) if message.has_error() else None
    return MessageProto(metadata=metadata_to_proto(message.metadata), error=error)


def record_forms(records: RecordDict) -> Any:
    """Of a content's records, one after the other."""
    return recorddict_to_proto(records).items


def message_from_bytes(data: bytes) -> Message:
    """The message in bytes that were looked at before."""
    return message_from_proto(MessageProto.FromString(data))


def content_from_bytes(data: bytes) -> RecordDict:
    """The content in bytes that were looked at before."""
    return recorddict_from_proto(MessageProto.FromString(data).content)


def identify(run_id: int, node_id: int) -> None:
    """Say who speaks: without it Flower refuses to make a message outside a run of its own."""
    TaskIdentity.run_id = TaskIdentity.task_id = run_id
    TaskIdentity.node_id = node_id


def name_message(message: Message, run_id: int, message_id: str) -> None:
    """Give a message its run and its own name, as Flower does where it sends or receives one."""
    message.metadata.__dict__["_run_id"] = run_id
    message.metadata.__dict__["_message_id"] = message_id


@dataclass(frozen=True)
class Pushed:
    """What a `push-messages` brings. node: that asks. senders: nodes that its messages name as theirs."""

    node: int
    senders: frozenset[int]
    messages: int
    objects: int


def pushed_in(push: bytes) -> Pushed:
    """Of the body of a `push-messages`. Raises ValueError where it is none."""
    from flwr.proto.fleet_pb2 import PushMessagesRequest
    from google.protobuf.message import DecodeError

    try:
        request = PushMessagesRequest.FromString(push)
    except DecodeError:
        raise ValueError("no push-messages") from None
    named = frozenset(message.metadata.src_node_id for message in request.messages_list)
    objects = sum(1 for tree in request.message_object_trees for _ in _names(tree))
    return Pushed(request.node.node_id, named, len(request.messages_list), objects)


def set_back(message: Message, ahead_s: float) -> None:
    """Date a message by a clock that is not `ahead_s` ahead. It ends when it ended before."""
    told = message.metadata.__dict__
    told["_created_at"] -= ahead_s
    told["_ttl"] += ahead_s


@dataclass(frozen=True)
class Delivery:
    """A message as a SuperLink hands it over: whose it is, and the names of its objects, children first."""

    message_id: str
    run_id: int
    node_id: int
    kind: str
    created_at: float
    ttl_s: float
    objects: tuple[str, ...]
    reply_to: str = ""


@dataclass(frozen=True)
class Deflated:
    """A message as it is pushed: its name, its head and tree as Protocol Buffers, and its objects by name."""

    message_id: str
    run_id: int
    head: bytes
    tree: bytes
    objects: Mapping[str, bytes]


def read_delivery(data: bytes, most_objects: int) -> Delivery | None:
    """What `Calls.pull` brought, None where no message is in it. Raises ValueError for more objects than that."""
    from flwr.proto.fleet_pb2 import PullMessagesResponse

    response = PullMessagesResponse.FromString(data)
    if not response.messages_list:
        return None
    return _delivery(response.messages_list[0], response.message_object_trees[0], most_objects)


def _delivery(head: MessageProto, tree: ObjectTree, most_objects: int) -> Delivery:
    metadata, names = head.metadata, dict[str, None]()
    for name in _names(tree):
        names[name] = None
        if len(names) > most_objects:
            raise ValueError("a message of too many objects")
    return Delivery(
        metadata.message_id,
        metadata.run_id,
        metadata.dst_node_id,
        metadata.message_type,
        metadata.created_at,
        metadata.ttl,
        tuple(names),
        metadata.reply_to_message_id,
    )


def delivered_head(data: bytes) -> Message:
    """What `Calls.pull` brought of a message that `read_delivery` found in it: whose it is, without its content."""
    from flwr.proto.fleet_pb2 import PullMessagesResponse

    return message_from_proto(PullMessagesResponse.FromString(data).messages_list[0])


def _names(tree: ObjectTree) -> Iterator[str]:
    for child in tree.children:
        yield from _names(child)
    yield tree.object_id


def inflate(message_id: str, objects: Mapping[str, bytes]) -> Message:
    """The message that its objects make. Raises anything where they make none."""
    from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents

    message = inflate_object_from_contents(message_id, dict(objects))
    if not isinstance(message, Message):
        raise TypeError("the root of a message is no message")
    name_message(message, message.metadata.run_id, message_id)
    return message


def deflate(message: Message) -> Deflated:
    """A reply in the form in which a SuperLink takes it."""
    from flwr.app.message.message import remove_content_from_message

    with no_object_id_recompute():
        message_id = message.object_id
        name_message(message, message.metadata.run_id, message_id)
        objects = {name: one.deflate() for name, one in get_all_nested_objects(message).items()}
        tree = get_object_tree(message)
    head = message_to_proto(remove_content_from_message(message))
    run_id = message.metadata.run_id
    return Deflated(message_id, run_id, head.SerializeToString(), tree.SerializeToString(), objects)


def parts_of(content: bytes) -> tuple[str, tuple[str, ...], bytes]:
    """Kind, children and body of an object. Raises ValueError where it is none, or not as long as it says."""
    head, divider, body = content.partition(HEAD_BODY_DIVIDER)
    kind, children, length = head.decode("utf-8").split(HEAD_VALUE_DIVIDER)
    if not divider or int(length) != len(body):
        raise ValueError("an object that is cut short")
    return kind, tuple(children.split(",")) if children else (), body


@dataclass
class SignedIdentity:
    """Signs every request with the node's key, as Flower's own interceptor does, by a clock that can be set right.

    ahead_s: of this machine's clock, which is taken off: a SuperLink refuses who is 5 s before it, or 305 s behind.
    """

    key: EllipticCurvePrivateKey
    ahead_s: float = 0.0

    @property
    def public_key(self) -> bytes:
        """As Flower sends it."""
        from flwr.supercore.primitives.asymmetric import public_key_to_bytes

        return public_key_to_bytes(self.key.public_key())

    def intercept(self, context: ProtobufRequestContext, call_next: ProtobufCall) -> httpx.Response:
        """Add the three headers."""
        from flwr.common.constant import TIMESTAMP_HEADER
        from flwr.supercore.constant import FLEET_HTTP_PUBLIC_KEY_HEADER, FLEET_HTTP_SIGNATURE_HEADER
        from flwr.supercore.primitives.asymmetric import sign_message

        now = (datetime.now(UTC) - timedelta(seconds=self.ahead_s)).isoformat()
        signature = sign_message(self.key, now.encode("ascii"))
        context.request.headers.update(
            {
                FLEET_HTTP_PUBLIC_KEY_HEADER: b64encode(self.public_key).decode("ascii"),
                TIMESTAMP_HEADER: now,
                FLEET_HTTP_SIGNATURE_HEADER: b64encode(signature).decode("ascii"),
            }
        )
        return call_next(context)


class SaysVersion:
    """Says which Flower this is. Flower's own interceptor does too, and ends the process where it is refused."""

    def intercept(self, context: ProtobufRequestContext, call_next: ProtobufCall) -> httpx.Response:
        """Add Flower's version headers."""
        context.request.headers.update(_version_headers())
        return call_next(context)


@cache
def _version_headers() -> dict[str, str]:
    from flwr.supercore.runtime_version_compatibility import RuntimeVersionMetadata

    return dict(RuntimeVersionMetadata.from_local_component(COMPONENT).as_metadata())


def error_code(body: str) -> int | None:
    """The number of Flower's own that an answer of an error bears."""
    try:
        table = json.loads(body)
    except (ValueError, RecursionError):
        return None
    code = table.get("code") if isinstance(table, dict) else None
    return code if isinstance(code, int) else None


class Calls:
    """The calls of the Fleet API that our node makes, in plain types. Raises what httpx raises, and ValueError.

    http: the way to the coordinator, in place of the one that Flower would make: its own follows redirections and
    asks the environment for a proxy.
    """

    def __init__(self, base_url: str, http: httpx.Client, identity: SignedIdentity) -> None:
        from ssl import PROTOCOL_TLS_CLIENT, SSLContext

        from flwr.supernode.fleet_http_client import FleetHttpClient

        trusts_nobody = SSLContext(PROTOCOL_TLS_CLIENT)
        self._client = FleetHttpClient(base_url, interceptors=[SaysVersion(), identity], verify=trusts_nobody)
        self._client._client.close()
        self._client._client = http
        self._identity = identity

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def activate(self) -> int:
        """The id of the node of this key, which counts as online from now on."""
        from flwr.proto.fleet_pb2 import ActivateNodeRequest

        request = ActivateNodeRequest(public_key=self._identity.public_key, heartbeat_interval=HEARTBEAT_S)
        return int(self._client.ActivateNode(request).node_id)

    def deactivate(self, node_id: int) -> None:
        """Say that the node leaves."""
        from flwr.proto.fleet_pb2 import DeactivateNodeRequest

        self._client.DeactivateNode(DeactivateNodeRequest(node_id=node_id))

    def heartbeat(self, node_id: int) -> bool:
        """Say that the node lives, which makes an absent one present; False where nobody knows it."""
        from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest

        request = SendNodeHeartbeatRequest(node=_node(node_id), heartbeat_interval=HEARTBEAT_S)
        return bool(self._client.SendNodeHeartbeat(request).success)

    def pull(self, node_id: int) -> bytes:
        """For `read_delivery`: a message without its objects, handed out once."""
        from flwr.proto.fleet_pb2 import PullMessagesRequest

        response = self._client.PullMessages(PullMessagesRequest(node=_node(node_id)))
        return response.SerializeToString() if response.messages_list else b""

    def pull_object(self, node_id: int, run_id: int, name: str) -> bytes | None:
        """An object; b"" where it is not there yet, None where it never will be."""
        from flwr.proto.message_pb2 import PullObjectRequest

        response = self._client.PullObject(PullObjectRequest(node=_node(node_id), run_id=run_id, object_id=name))
        if not response.object_found:
            return None
        return response.object_content if response.object_available else b""

    def confirm(self, node_id: int, run_id: int, message_id: str) -> None:
        """Let the SuperLink forget the message's objects."""
        from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest

        request = ConfirmMessageReceivedRequest(node=_node(node_id), run_id=run_id, message_object_id=message_id)
        self._client.ConfirmMessageReceived(request)

    def push(self, node_id: int, reply: Deflated, seconds: float) -> tuple[frozenset[str], str]:
        """Announce a reply: which of its objects are wanted, and by which word they are pushed."""
        from flwr.proto.fleet_pb2 import PushMessagesRequest

        request = PushMessagesRequest(
            node=_node(node_id),
            messages_list=[MessageProto.FromString(reply.head)],
            message_object_trees=[ObjectTree.FromString(reply.tree)],
            clientapp_runtime_list=[seconds],
        )
        response = self._client.PushMessages(request)
        return frozenset(response.objects_to_push), response.session_id

    def push_object(self, node_id: int, run_id: int, session: str, name: str, content: bytes) -> bool:
        """Whether the SuperLink took it. session: "" finds whichever waits for the object."""
        from flwr.proto.message_pb2 import PushObjectRequest

        request = PushObjectRequest(
            node=_node(node_id), run_id=run_id, object_id=name, object_content=content, session_id=session
        )
        return bool(self._client.PushObject(request).stored)


class AppCalls:
    """What a server app asks its SuperLink for the replies to its messages, over the connection of Flower's grid.

    Raises what httpx raises, and RunNotRunningException.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid: Any = grid

    @staticmethod
    def are_of(grid: Grid) -> bool:
        """Whether this grid has such a connection."""
        from flwr.superlink.grid.http_grid import HttpGrid

        return isinstance(grid, HttpGrid)

    def replies(self, message_ids: list[str], most_objects: int) -> list[Delivery]:
        """Those that have come to any of these, without their objects, handed out once; those of too many not at all.

        A SuperLink hands over whatever else is addressed to it, too.
        """
        from flwr.proto.runtime_pb2 import PullAppMessagesRequest

        response = self._grid._runtime_client.PullMessages(PullAppMessagesRequest(message_ids=message_ids))
        found = []
        for head, tree in zip(response.messages_list, response.message_object_trees, strict=True):
            with suppress(ValueError):
                found.append(_delivery(head, tree, most_objects))
        return found

    def pull_object(self, run_id: int, name: str) -> bytes | None:
        """As `Calls.pull_object`."""
        from flwr.proto.message_pb2 import PullObjectRequest

        request = PullObjectRequest(node=self._grid.node, run_id=run_id, object_id=name)
        response = self._grid._runtime_client.PullObject(request)
        if not response.object_found:
            return None
        return bytes(response.object_content) if response.object_available else b""

    def confirm(self, run_id: int, message_id: str) -> None:
        """As `Calls.confirm`."""
        from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest

        request = ConfirmMessageReceivedRequest(node=self._grid.node, run_id=run_id, message_object_id=message_id)
        self._grid._runtime_client.ConfirmMessageReceived(request)


def _node(node_id: int) -> Any:
    from flwr.proto.node_pb2 import Node

    return Node(node_id=node_id)
