"""What passes from outside to the SuperLink, byte for byte: the one list that both fronts are made from."""

from __future__ import annotations

from base64 import b64decode

from common.consortium.certificates import node_uri

PREFIX = "/v1/fleet/"
CALLS = (
    "activate-node",
    "deactivate-node",
    "send-node-heartbeat",
    "pull-messages",
    "push-messages",
    "get-run",
    "push-object",
    "pull-object",
    "confirm-message-received",
)
"""Of the Fleet API. Never `register-node` and `unregister-node`, which would let anybody in, nor `get-fab`: no code
travels."""
PATHS = frozenset(PREFIX + call for call in CALLS)
PUSH_MESSAGES = PREFIX + "push-messages"

PUBLIC_KEY, TIMESTAMP, SIGNATURE = "flwr-public-key", "flwr-timestamp", "flwr-signature"
REQUEST_HEADERS = (
    "accept",
    "content-type",
    PUBLIC_KEY,
    TIMESTAMP,
    SIGNATURE,
    "flwr-package-name",
    "flwr-package-version",
    "flwr-component-name",
)
"""What is passed on, beside Content-Length. Flower's client sends these; everything else ends here."""
RESPONSE_HEADERS = ("content-type", "content-length", "flwr-version-incompatibility-message")

MOST_BODY_BYTES = 8 << 20
"""A request. Flower cuts arrays into pieces of 5 MiB."""
MOST_HEAD_BYTES = 8 << 10
MOST_HEADERS = 32


def bound_name(public_key_header: bytes) -> str | None:
    """The name that the certificate of whoever sends this key must carry; None where the header holds no key."""
    try:
        key = b64decode(public_key_header, validate=True)
    except ValueError:
        return None
    return node_uri(key) if key else None
