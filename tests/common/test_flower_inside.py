"""The contract with Flower's undocumented modules: what of them we count on, so that an upgrade fails here first."""

from __future__ import annotations

import inspect
import json
from base64 import b64decode
from datetime import UTC, datetime

import flwr
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from flwr.common.constant import TIMESTAMP_TOLERANCE
from flwr.proto import fleet_pb2, heartbeat_pb2, message_pb2, node_pb2
from flwr.supercore.constant import OBJECT_PUSH_SESSION_TTL_SECONDS
from flwr.supercore.error import ApiErrorCode, FlowerError
from flwr.supercore.interceptors.http.runtime_version import RuntimeVersionHttpInterceptor
from flwr.supercore.primitives.asymmetric import bytes_to_public_key, verify_signature
from flwr.supercore.protobuf.client import ProtobufClient, ProtobufRequestContext
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from client.fleet.outcomes import ACTIVATION_FAILED, OTHER_VERSION, RUN_OVER
from common.wire import flower_inside
from common.wire.flower_inside import SaysVersion, SignedIdentity, deflate, inflate, parts_of
from common.wire.message_form import message_to_bytes

FIELDS = {
    fleet_pb2.ActivateNodeRequest: {"public_key": 1, "heartbeat_interval": 2},
    fleet_pb2.ActivateNodeResponse: {"node_id": 1},
    fleet_pb2.DeactivateNodeRequest: {"node_id": 1},
    fleet_pb2.PullMessagesRequest: {"node": 1},
    fleet_pb2.PullMessagesResponse: {"messages_list": 2, "message_object_trees": 3},
    fleet_pb2.PushMessagesRequest: {
        "node": 1,
        "messages_list": 2,
        "message_object_trees": 3,
        "clientapp_runtime_list": 4,
    },
    fleet_pb2.PushMessagesResponse: {"objects_to_push": 3, "session_id": 4},
    heartbeat_pb2.SendNodeHeartbeatRequest: {"node": 1, "heartbeat_interval": 2},
    heartbeat_pb2.SendNodeHeartbeatResponse: {"success": 1},
    message_pb2.PullObjectRequest: {"node": 1, "run_id": 2, "object_id": 3},
    message_pb2.PullObjectResponse: {"object_found": 1, "object_available": 2, "object_content": 3},
    message_pb2.PushObjectRequest: {"node": 1, "run_id": 2, "object_id": 3, "object_content": 4, "session_id": 5},
    message_pb2.PushObjectResponse: {"stored": 1},
    message_pb2.ConfirmMessageReceivedRequest: {"node": 1, "run_id": 2, "message_object_id": 3},
    message_pb2.ObjectTree: {"object_id": 1, "children": 2},
    node_pb2.Node: {"node_id": 1},
}
CALLS = {
    "ActivateNode": "activate-node",
    "DeactivateNode": "deactivate-node",
    "SendNodeHeartbeat": "send-node-heartbeat",
    "PullMessages": "pull-messages",
    "PushMessages": "push-messages",
    "PullObject": "pull-object",
    "PushObject": "push-object",
    "ConfirmMessageReceived": "confirm-message-received",
}


def request() -> Message:
    flower_inside.identify(1, 5)
    array = Array("float32", (3,), "wardround.float32", b"\0" * 12)
    content = RecordDict(
        {
            "array": ArrayRecord({"flat": array}),
            "words": ConfigRecord({"study": "x"}),
            "numbers": MetricRecord({"round": 1, "shape": [1, 2]}),
        }
    )
    return Message(content, 5, "train.round", ttl=60.0)


def context() -> ProtobufRequestContext:
    return ProtobufRequestContext("", node_pb2.Node(), httpx.Request("POST", "https://front/v1/fleet/pull-messages"))


def headers_of(interceptor: object) -> dict[str, str]:
    one = context()
    interceptor.intercept(one, lambda _: httpx.Response(200))  # type: ignore[attr-defined]
    return dict(one.request.headers)


def test_flower_is_the_one_whose_inside_this_is() -> None:
    assert flwr.__version__.startswith(f"{flower_inside.FLOWER}.")


@pytest.mark.parametrize("kind", FIELDS, ids=lambda kind: kind.__name__)
def test_a_message_of_the_fleet_api_has_the_fields_that_we_fill_and_read(kind: type) -> None:
    numbers = {field.name: field.number for field in kind.DESCRIPTOR.fields}  # type: ignore[attr-defined]
    assert {name: numbers.get(name) for name in FIELDS[kind]} == FIELDS[kind]


@pytest.mark.parametrize("name", CALLS)
def test_a_call_goes_where_fronts_let_it_pass(name: str) -> None:
    assert f'path="/v1/fleet/{CALLS[name]}"' in inspect.getsource(getattr(FleetHttpClient, name))


def test_flowers_client_takes_its_way_out_in_place_of_its_own() -> None:
    parameters = inspect.signature(ProtobufClient.__init__).parameters
    assert {"base_url", "interceptors", "verify"} <= parameters.keys()
    source = inspect.getsource(ProtobufClient)
    assert "self._client = httpx.Client(" in source and "self._client.send(" in source


def test_a_request_is_signed_as_flower_signs_it() -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    theirs, ours = headers_of(NodeAuthHttpInterceptor(key, key.public_key())), headers_of(SignedIdentity(key))
    assert ours.keys() == theirs.keys()
    assert ours["flwr-public-key"] == theirs["flwr-public-key"]
    public = bytes_to_public_key(b64decode(ours["flwr-public-key"]))
    assert verify_signature(public, ours["flwr-timestamp"].encode(), b64decode(ours["flwr-signature"]))
    assert SignedIdentity(key).public_key == b64decode(theirs["flwr-public-key"])


def test_a_clock_that_is_ahead_is_set_right_where_a_request_is_signed() -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    said = datetime.fromisoformat(headers_of(SignedIdentity(key, ahead_s=600.0))["flwr-timestamp"])
    assert 590 < (datetime.now(UTC) - said).total_seconds() < 660


def test_a_request_says_its_version_as_flower_says_it() -> None:
    assert headers_of(SaysVersion()) == headers_of(RuntimeVersionHttpInterceptor("SuperNode"))


def test_a_superlink_allows_the_clock_and_the_session_that_we_count_with() -> None:
    assert (TIMESTAMP_TOLERANCE, OBJECT_PUSH_SESSION_TTL_SECONDS) == (300, 180)


def test_a_message_comes_back_whole_from_its_objects() -> None:
    message = request()
    parts = deflate(message)
    back = inflate(parts.message_id, parts.objects)
    assert back.content == message.content
    assert back.metadata.message_id == parts.message_id
    assert (back.metadata.run_id, back.metadata.message_type) == (1, "train.round")


def test_the_name_of_an_object_is_the_digest_of_its_bytes_and_its_head_names_its_children() -> None:
    from hashlib import sha256

    parts = deflate(request())
    assert all(sha256(content).hexdigest() == name for name, content in parts.objects.items())
    kind, children, _ = parts_of(parts.objects[parts.message_id])
    assert kind == "Message" and len(children) == 1
    assert parts_of(parts.objects[children[0]])[0] == "RecordDict"


def test_the_name_of_a_content_does_not_depend_on_the_message_that_carries_it() -> None:
    first, again = deflate(request()), deflate(request())
    assert first.message_id != again.message_id
    assert parts_of(first.objects[first.message_id])[1] == parts_of(again.objects[again.message_id])[1]


def test_an_object_that_is_not_as_long_as_it_says_is_none() -> None:
    with pytest.raises(ValueError, match="cut short"):
        parts_of(b"ConfigRecord  4\0abc")


def test_a_reply_keeps_its_content_when_it_answers_another_message() -> None:
    reply = Message(RecordDict({"words": ConfigRecord({"a": "b"})}), reply_to=request())
    data = message_to_bytes(reply)
    again = Message(flower_inside.message_from_bytes(data).content, reply_to=request())
    assert deflate(reply).objects.keys() & deflate(again).objects.keys()
    assert again.content == reply.content


def test_an_error_reply_is_one_object() -> None:
    reply = deflate(Message(Error(9002, "incident 1"), reply_to=request()))
    assert list(reply.objects) == [reply.message_id]


def test_a_push_names_who_asks_and_who_speaks() -> None:
    one = message_pb2.Message(metadata=message_pb2.Metadata(src_node_id=7))
    tree = message_pb2.ObjectTree(object_id="a", children=[message_pb2.ObjectTree(object_id="b")])
    node = node_pb2.Node(node_id=7)
    push = fleet_pb2.PushMessagesRequest(node=node, messages_list=[one], message_object_trees=[tree])
    assert flower_inside.pushed_in(push.SerializeToString()) == flower_inside.Pushed(7, frozenset({7}), 1, 2)
    with pytest.raises(ValueError, match="push"):
        flower_inside.pushed_in(b"\xff\xff")


def test_the_errors_that_a_node_tells_apart_have_flowers_numbers() -> None:
    codes = (ApiErrorCode.FLEET_RUN_STATUS_NOT_ALLOWED, ApiErrorCode.FLEET_NODE_ACTIVATION_FAILED)
    assert (*codes, ApiErrorCode.RUNTIME_VERSION_INCOMPATIBLE) == (RUN_OVER, ACTIVATION_FAILED, OTHER_VERSION)
    assert flower_inside.error_code(json.dumps(FlowerError(2007, "secret").to_json("public"))) == 2007
    assert [flower_inside.error_code(body) for body in ("", "x", "[1]", '{"code": "2007"}', "[" * 99999)] == [
        None
    ] * 5
