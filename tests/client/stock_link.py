"""Flower's own SuperLink in this process, on a real port, behind a front whose faults a test plants."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from time import monotonic, sleep
from typing import Any

import uvicorn
from flwr.app import Message, RecordDict
from flwr.app.message.message import make_message
from flwr.app.metadata import Metadata
from flwr.common.constant import SUPERLINK_NODE_ID
from flwr.supercore.constant import NOOP_FEDERATION_ID
from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.superlink.main import create_app

from common.wire import flower_inside

Scope = MutableMapping[str, Any]
Receive, Send = Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]
LIMIT_S = 60.0
Fault = Callable[[str, bytes], str | bytes | int | None]
"""Of a path's last word and the request's body: "lost" answers nothing after all is done, "dead" before; a number is
a status, bytes are a body; None: no fault."""


@dataclass
class Link:
    """A stock SuperLink without a database. faults: asked once a call, in order. calls: last words of the paths."""

    app: Any
    port: int = 0
    faults: list[Fault] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    _heads: dict[str, Message] = field(default_factory=dict)

    @property
    def state(self) -> Any:
        return self.app.state.linkstate_factory.state()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def register(self, public_key: bytes) -> int:
        return int(self.state.create_node("<id:none>", "none", public_key, 30.0))

    def new_run(self) -> int:
        run_id = self.state.create_run(None, None, None, {}, NOOP_FEDERATION_ID, None, None, "flwr-serverapp")
        (info,) = self.state.get_run_info(run_ids=[run_id])
        assert self.state.claim_task(info.primary_task_id)
        assert self.state.activate_task(info.primary_task_id)
        return int(run_id)

    def end_run(self, run_id: int) -> None:
        assert self.state.stop_run(run_id)

    def ask(self, run_id: int, node_id: int, kind: str, content: RecordDict, ttl_s: float = 3600.0) -> str:
        """Push a request as Flower's Grid does; its name."""
        told = Metadata(run_id, "", SUPERLINK_NODE_ID, node_id, "", "", self.now(), ttl_s, kind)
        message = make_message(told, content)
        message.metadata.delivered_at = ""
        return self.ask_deflated(flower_inside.deflate(message))

    def ask_deflated(self, one: flower_inside.Deflated) -> str:
        head = flower_inside.message_from_bytes(one.head)
        session = self.state.start_session(one.run_id)
        tree = flower_inside.ObjectTree.FromString(one.tree)
        stored, wanted = self.state.store_message_and_object_tree(head, tree, session)
        assert stored
        for name in wanted:
            assert self.state.store_object(one.run_id, session, name, one.objects[name])
        return one.message_id

    def reply(self, run_id: int, message_id: str) -> Message | None:
        """The whole reply, None while there is none or some of it is missing."""
        for head in self.state.get_message_res({message_id}, run_id):
            self._heads[message_id] = head  # it is handed out once
        if (head := self._heads.get(message_id)) is not None:
            if head.has_error() and head.metadata.src_node_id == SUPERLINK_NODE_ID:
                return head
            name = head.metadata.message_id
            tree = self.state.object_store.get_object_tree(name)
            parts = {one.object_id: self.state.get_object(run_id, one.object_id) for one in iterate_object_tree(tree)}
            if all(parts.values()):
                return inflate_object_from_contents(name, parts)
        return None

    def await_reply(self, run_id: int, message_id: str) -> Message:
        deadline = monotonic() + LIMIT_S
        while monotonic() < deadline:
            if (found := self.reply(run_id, message_id)) is not None:
                return found
            sleep(0.02)
        raise AssertionError("no reply")

    @staticmethod
    def now() -> float:
        from flwr.supercore.date import now

        return float(now().timestamp())


@dataclass
class Front:
    """The way to the SuperLink's app, with the faults of its link."""

    link: Link

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.link.app(scope, receive, send)
            return
        body = b""
        while True:
            part = await receive()
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        word = scope["path"].rsplit("/", 1)[-1]
        self.link.calls.append(word)
        found = [fault for one in self.link.faults if (fault := one(word, body)) is not None]
        fault = found[0] if found else None
        if fault == "dead":
            raise ConnectionError("planted")
        sent: list[Any] = []

        async def again() -> Any:
            return {"type": "http.request", "body": body}

        async def keep(event: Any) -> None:
            sent.append(event)

        if not isinstance(fault, int | bytes):
            await self.link.app(scope, again, keep)
        if fault == "lost":
            raise ConnectionError("planted")
        if isinstance(fault, int | bytes):
            status, said = (fault, b"x") if isinstance(fault, int) else (200, fault)
            sent = [{"type": "http.response.start", "status": status, "headers": []}]
            sent += [{"type": "http.response.body", "body": said}]
        for event in sent:
            await send(event)


@contextmanager
def stock_link() -> Iterator[Link]:
    """A SuperLink that listens."""
    os.environ.update({"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"})
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "flwr"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    link = Link(create_app())
    config = uvicorn.Config(Front(link), host="127.0.0.1", port=0, log_config=None, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    deadline = monotonic() + LIMIT_S
    while not server.started:
        assert monotonic() < deadline and thread.is_alive()
        sleep(0.01)
    link.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield link
    finally:
        server.should_exit = True
        thread.join(10)
