"""Asks the SuperLink what a hospital asked, and passes its answer back."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from common.errors import FileError
from common.files import access as files
from server.front.access_log import note
from server.front.head import Head
from server.front.own_name import answers_as_itself
from server.front.rules import PUSH_MESSAGES, REQUEST_HEADERS, RESPONSE_HEADERS
from server.front.settings import FrontSettings
from server.front.tls import Peer

PEER, HEAD, DONE = "peer", "head", "done"
"""Of the state that a connection hands to the forwarder with each request. DONE: to be called once it is over."""
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
CONNECT_S = 5.0
KEPT_S = 4.0
"""The SuperLink closes a connection that was idle for 5 s; one that it is just closing must not be used again."""


class Forwarder:
    """An ASGI application that knows one thing: the SuperLink behind it."""

    def __init__(self, folder: Path, settings: FrontSettings) -> None:
        self._settings = settings
        timeout = httpx.Timeout(settings.answer_s, connect=CONNECT_S)
        self._extensions = {"timeout": timeout.as_dict()}
        limits = httpx.Limits(max_connections=None, keepalive_expiry=KEPT_S)
        verify = _verify(folder, settings)
        self._client = httpx.AsyncClient(verify=verify, limits=limits, trust_env=False, follow_redirects=False)

    async def close(self) -> None:
        """Close what is open to the SuperLink."""
        await self._client.aclose()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one request, which `head.judge` has let pass."""
        try:
            await self._forward(scope, receive, send)
        finally:
            scope["state"][DONE]()

    async def _forward(self, scope: Any, receive: Receive, send: Send) -> None:
        began = time.monotonic()
        head, peer = scope["state"][HEAD], scope["state"][PEER]
        body = await _body_of(receive)
        if body is None:
            note("cut off", hospital=peer.name, path=head.path)
            return
        status, sent = await self._answer(head, body, send)
        facts = {"status": status, "received_bytes": len(body), "sent_bytes": sent}
        _note_answer(peer, head, facts, time.monotonic() - began)

    async def _answer(self, head: Head, body: bytes, send: Send) -> tuple[int, int]:
        if head.path == PUSH_MESSAGES and not answers_as_itself(body):
            return await _say(send, 403)
        try:
            response = await self._client.send(self._request(head, body), stream=True)
        except httpx.TimeoutException:
            return await _say(send, 504)
        except httpx.HTTPError:
            return await _say(send, 502)
        try:
            async with asyncio.timeout(self._settings.body_s):
                return response.status_code, await _pass_on(response, send)
        except (httpx.HTTPError, TimeoutError) as error:
            note("cut off", path=head.path, why=f"an answer that did not pass whole: {type(error).__name__}")
            return response.status_code, 0  # uvicorn closes the connection of an answer that has no end
        finally:
            await response.aclose()

    def _request(self, head: Head, body: bytes) -> httpx.Request:
        headers = [(name, head.headers[name]) for name in REQUEST_HEADERS if name in head.headers]
        url = self._settings.link + head.path
        passed = [(name.encode(), value) for name, value in headers]
        return httpx.Request("POST", url, headers=passed, content=body, extensions=self._extensions)


def _verify(folder: Path, settings: FrontSettings) -> ssl.SSLContext | bool:
    if not settings.link.startswith("https://"):
        return False
    files.check(folder, settings.link_authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=folder / settings.link_authority)
    except (ssl.SSLError, OSError) as error:
        raise FileError(folder / settings.link_authority, "holds no certificate in PEM") from error
    if files.is_there(folder, settings.link_identity):
        _show(context, folder, settings.link_identity)
    return context


def _show(context: ssl.SSLContext, folder: Path, identity: str) -> None:
    files.check(folder, identity)
    try:
        context.load_cert_chain(folder / identity)
    except (ssl.SSLError, OSError) as error:
        raise FileError(folder / identity, "holds no certificate and its key in PEM") from error


async def _body_of(receive: Receive) -> bytes | None:
    """All of it: a slow hospital holds nothing of the SuperLink. None where the hospital is gone before its end."""
    pieces = bytearray()
    while True:
        event = await receive()
        if event["type"] != "http.request":
            return None
        pieces += event["body"]
        if not event["more_body"]:
            return bytes(pieces)


async def _pass_on(response: httpx.Response, send: Send) -> int:
    """One piece behind, so that the last one says that it is the last.

    A hospital that has as many bytes as the answer announced may ask again at once: by then it must be over here too.
    """
    headers = [(name.encode(), value) for name, value in _headers(response)]
    waiting: list[Any] = [{"type": "http.response.start", "status": response.status_code, "headers": headers}]
    sent = 0
    last = b""
    async for piece in response.aiter_raw():
        if last:
            waiting.append({"type": "http.response.body", "body": last, "more_body": True})
            await _send_all(waiting, send)
        sent, last = sent + len(piece), piece
    await _send_all([*waiting, {"type": "http.response.body", "body": last}], send)
    return sent


async def _send_all(events: list[Any], send: Send) -> None:
    for event in events:
        await send(event)
    events.clear()


def _headers(response: httpx.Response) -> list[tuple[str, bytes]]:
    return [(name, response.headers[name].encode()) for name in RESPONSE_HEADERS if name in response.headers]


async def _say(send: Send, status: int) -> tuple[int, int]:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
    return status, 0


def _note_answer(peer: Peer, head: Head, facts: dict[str, int], took_s: float) -> None:
    note("request", hospital=peer.name, path=head.path, took_ms=round(took_s * 1000, 1), **facts)
