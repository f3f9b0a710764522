"""What pages answer with: HTML, the stream that says that something changed, the documents of a run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from threading import Event, Lock

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from common.errors import FileError, WardroundError
from common.files.access import read
from experiments.pages.asgi import Receive, Scope, Send
from experiments.pages.sheet import document
from server.reporting.markup import tag
from server.reporting.page import policy as policy_of_reports

LOOK_AGAIN_S, ALIVE_EVERY_S = 0.5, 15.0
MOST_STREAMS = 16
LARGEST_DOCUMENT_BYTES = 1 << 28


def new_app() -> FastAPI:
    """An application without FastAPI's own pages."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(WardroundError, _told)
    return app


def fault_page(title: str, words: str, back: str = "./") -> str:
    """An error in one line. back: where the first page is."""
    main = tag(
        "main",
        tag("h1", title),
        tag("p", words, class_="banner bad", role="alert"),
        tag("nav", tag("a", "Back to the first page", href=back)),
    )
    return document(f"{title}, Wardround", main)


async def _told(_: object, error: Exception) -> Response:
    return HTMLResponse(fault_page("This cannot be shown", str(error)), 500)


class Streams:
    """Server-sent events to a few browsers at a time. closing: set when the program ends, which ends them."""

    def __init__(self, closing: Event) -> None:
        self._closing, self._open, self._lock = closing, 0, Lock()

    def answer(self, version: Callable[[], str]) -> Response:
        """A stream that says when `version` is another; or that there are too many."""
        with self._lock:
            if self._open >= MOST_STREAMS:
                return Response("Too many pages follow this at once.\n", 503, media_type="text/plain")
            self._open += 1
        return _Stream(self._changes(version), self._ended)

    def _ended(self) -> None:
        with self._lock:
            self._open -= 1

    async def _changes(self, version: Callable[[], str]) -> AsyncIterator[str]:
        """One event a change, and a comment now and then, so that a connection that is gone is noticed."""
        before, quiet_s = await run_in_threadpool(version), 0.0
        yield "retry: 2000\ndata: there\n\n"
        while not self._closing.is_set():
            await asyncio.sleep(LOOK_AGAIN_S)
            quiet_s += LOOK_AGAIN_S
            now = await run_in_threadpool(version)
            if now != before:
                before, quiet_s = now, 0.0
                yield "data: changed\n\n"
            elif quiet_s >= ALIVE_EVERY_S:
                quiet_s = 0.0
                yield ": alive\n\n"


class _Stream(StreamingResponse):
    """Tells when it ended, however it did."""

    def __init__(self, content: AsyncIterator[str], ended: Callable[[], None]) -> None:
        super().__init__(content, media_type="text/event-stream")
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()


def run_document(folder: Path, name: str) -> Response:
    """`report.html` or `audit.html` of a run folder, which may come from anybody.

    It is shown as a page of nobody's, with the scripts of a report of ours alone: it cannot act as this page's user.
    """
    try:
        text = read(folder, name, LARGEST_DOCUMENT_BYTES)
    except FileError as error:
        return HTMLResponse(fault_page("There is no such document", str(error)), 404)
    return private_document(text)


def private_document(text: str | bytes) -> Response:
    """A page of a report's kind, as a page of nobody's."""
    rule = f"sandbox allow-scripts allow-downloads; {policy_of_reports()}; frame-ancestors 'none'"
    return HTMLResponse(text, headers={"content-security-policy": rule})
