"""One hospital's Flower node, whatever carries its messages: bytes in, bytes out, and no error's text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from client import incidents
from common.errors import EngineError, WireError
from common.wire.long_form import Buffer
from common.wire.message_bytes import from_bytes, identify, node_error, size_of, to_parts
from common.wire.pieces import LARGEST_MESSAGE_BYTES

Config = Mapping[str, str | int | float | bool]
LARGEST_MESSAGE = "largest-message-bytes"
"""Of a node's configuration: what it takes at most, which it says before it is sent any model."""


TAKES_VIEWS = "takes-views"
"""Of a node's configuration: whether arrays of its replies need not be copied, as they are read before the next
request. Flower's own nodes cannot say so."""


def largest_message_bytes(config: Config) -> int:
    """Of one message to the node that has this configuration."""
    said = config.get(LARGEST_MESSAGE, LARGEST_MESSAGE_BYTES)
    return said if type(said) is int and said > 0 else LARGEST_MESSAGE_BYTES


@dataclass
class Node:
    """A ClientApp with the context it keeps between messages. config: the node's own, with its private "folder"."""

    app: ClientApp
    node_id: int
    run_id: int
    config: Config
    context: Context = field(init=False)

    def __post_init__(self) -> None:
        self.context = Context(self.run_id, self.node_id, {**self.config, TAKES_VIEWS: True}, RecordDict(), {})

    @property
    def largest_message_bytes(self) -> int:
        """What it takes at most."""
        return largest_message_bytes(self.config)

    def answer(self, request: Buffer) -> bytes:
        """All of `answer_in_parts` together."""
        return b"".join(self.answer_in_parts(request))

    def answer_in_parts(self, request: Buffer) -> list[Buffer]:
        """The serialised reply to a serialised request; no bytes where the request is no message at all.

        Raises nothing: an app that is not ours may raise anything, which is patient data, and so may a parser.
        """
        try:
            self._demand_room(request)
            message = from_bytes(request)
        except Exception as error:  # noqa: BLE001 - as of `reply`
            self._report(error)
            return [b""]
        try:
            return to_parts(self._asked(message))
        except Exception as error:  # noqa: BLE001 - as of `reply`
            return to_parts(self.unable(error, message))

    def _demand_room(self, request: Buffer) -> None:
        if len(request) > self.largest_message_bytes:
            raise WireError(
                f"a message of {len(request)} bytes came; this node takes {self.largest_message_bytes} at most."
            )

    def reply(self, message: Message) -> Message:
        """The reply to a message that can be sent as it is. Raises nothing, as `answer`."""
        try:
            reply = self._asked(message)
            size_of(reply)
            return reply
        except Exception as error:  # noqa: BLE001 - the one boundary of a message; the error stays here
            return self.unable(error, message)

    def _asked(self, message: Message) -> Message:
        identify(self.run_id, self.node_id)
        return self.app(message, self.context)

    def unable(self, error: Exception, message: Message) -> Message:
        """The reply to a message that came to nothing: a number, under which the hospital itself finds why."""
        return node_error(f"incident {self._report(error)}", message)

    def _report(self, error: Exception) -> str:
        folder = self.config.get("folder")
        return incidents.report(error, Path(str(folder)) if folder else None)


def load_app(reference: str) -> ClientApp:
    """The ClientApp that `module:attribute` names. Raises EngineError where there is none."""
    module, _, attribute = reference.partition(":")
    app = getattr(import_module(module), attribute, None)
    if not isinstance(app, ClientApp):
        raise EngineError(f"{reference} is not a ClientApp; a reference reads 'client.app:app'.")
    return app
