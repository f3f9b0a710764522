"""A page's program: on the loopback alone, until Ctrl-C; the link is printed, and opened where that is wanted."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

from common.errors import EngineError, StudyError
from common.files.access import write
from experiments.pages.asgi import ASGIApp
from experiments.pages.keys import Keys

LOOPBACK = "127.0.0.1"
MOST_CONNECTIONS = 64


@contextmanager
def listening(port: int, host: str = LOOPBACK) -> Iterator[socket.socket]:
    """A socket of this machine alone. port: 0 for a free one.

    Raises StudyError for an address that others reach, EngineError where the port cannot be had.
    """
    if not ip_address(host).is_loopback:
        raise StudyError(
            f"these pages are served on this machine alone, on {LOOPBACK}; {host} can be reached by others. From "
            f"another machine: ssh -L PORT:{LOOPBACK}:PORT."
        )
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as place:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            place.bind((host, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or "it is no port"
            raise EngineError(f"port {port} of {host} cannot be had: {reason}; --port 0 takes a free one.") from error
        place.listen(MOST_CONNECTIONS)
        yield place


def link(place: socket.socket, keys: Keys) -> str:
    """Where the page is, with its key."""
    return f"http://{LOOPBACK}:{place.getsockname()[1]}/#{keys.key}"


def serve(
    build: Callable[[Keys, Event], ASGIApp], port: int, say: Callable[[list[str]], None], opens: bool = False
) -> None:
    """Serve the application that `build` makes, until this process is interrupted.

    build: is handed the keys, and an event that is set when all ends, so that no stream holds that up.
    """
    keys, closing = Keys(), Event()
    with listening(port) as place, served(build(keys, closing), place, closing) as thread:
        address = link(place, keys)
        say([address, "Ctrl-C ends it. The link is for you alone: whoever has it sees and does what you may."])
        if opens:
            _open(address, say)
        while thread.is_alive():
            thread.join(0.5)  # for ever would not be interrupted on every system


@contextmanager
def served(app: ASGIApp, place: socket.socket, closing: Event) -> Iterator[Thread]:
    """The thread that answers while the block runs; `closing` is set when it ends."""
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="off",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=3,
    )
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, kwargs={"sockets": [place]}, name="pages", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        closing.set()
        server.should_exit = True
        thread.join(10)


def _open(address: str, say: Callable[[list[str]], None]) -> None:
    """In the person's browser; by way of a file for their eyes alone, as command lines are there for all to read."""
    import webbrowser

    kept = TemporaryDirectory(prefix="wardround-")  # removed when this process ends
    _KEPT.append(kept)
    page = f'<!doctype html><meta http-equiv="refresh" content="0; url={escape(address, quote=True)}">'
    path = write(Path(kept.name), "open.html", page)
    try:
        found = webbrowser.open(path.as_uri())
    except webbrowser.Error:
        found = False
    if not found:
        say(["No browser was found here: open the link by hand."])


_KEPT: list[TemporaryDirectory[str]] = []
"""Held, since such a folder goes when nothing knows it any more."""
