"""Accepts connections, one handshake each with the newest certificates, and takes new ones without a restart."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import IPv6Address, IPv6Network, ip_address
from pathlib import Path

import uvicorn

from common.errors import EngineError, FileError
from server.front.access_log import note
from server.front.forwarding import Forwarder
from server.front.protocol import LINGER_S, FrontProtocol, Shared
from server.front.settings import FrontSettings
from server.front.tls import LAST_WORDS, context_of, list_ends, state_of

HANDSHAKE_S = 10.0
SHUTDOWN_S = 2.0
EACH_ORIGIN = 32
"""Connections that have shown no certificate yet, of one origin: several hospitals may share a way out."""
LOOK_EVERY_TICKS = 20
"""Of uvicorn's clock, which ticks ten times a second."""
WARN_BEFORE = timedelta(days=14)
RESTS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

log = logging.getLogger("wardround.front")


class Certificates:
    """The context that the next handshake uses, renewed when the files in the folder change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = state_of(folder)
        self.context: ssl.SSLContext = context_of(folder)
        self._said: tuple[str, object] | None = None
        self.look_at_list()

    def changed(self) -> bool:
        """Whether there is a new context. Files that do not fit each other yet leave the old one in use."""
        try:
            state = state_of(self._folder)
            if state == self._state:
                return False
            context = context_of(self._folder)
        except FileError as error:
            self._say_once(f"new certificates are not used: {error}", "files")
            return False
        self._state, self.context = state, context
        note("certificates", state="the files in front/ have changed; new handshakes use them")
        return True

    def look_at_list(self) -> None:
        """Say, once a day, that the revocation list runs out or has run out, which refuses everybody."""
        try:
            ends = list_ends(self._folder)
        except FileError as error:
            self._say_once(str(error), "list")
            return
        now = datetime.now(UTC)
        if ends is not None and ends <= now:
            text = (
                f"front/crl.pem ran out on {ends:%Y-%m-%d %H:%M} UTC: EVERY hospital is refused until it is renewed"
            )
            self._say_once(text, now.date())
        elif ends is not None and ends - now < WARN_BEFORE:
            self._say_once(f"front/crl.pem runs out on {ends:%Y-%m-%d}; then every hospital is refused", now.date())

    def _say_once(self, text: str, when: object) -> None:
        if self._said != (text, when):
            self._said = (text, when)
            log.warning(text)


class FrontServer(uvicorn.Server):
    """uvicorn's server with a way in of its own."""

    def __init__(self, folder: Path, settings: FrontSettings) -> None:
        self._settings = settings
        self._shared = Shared(settings)
        self._certificates = Certificates(folder)
        self._forwarder = Forwarder(folder, settings)
        self._opening: dict[asyncio.Task[None], str] = {}
        self._accepting: list[asyncio.Task[None]] = []
        super().__init__(_uvicorn_config(self._forwarder, settings))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept."""
        await self.lifespan.startup()
        self.servers = []
        await self.on_tick(0)
        self._accepting = [asyncio.create_task(self._accept(one)) for one in sockets or []]
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what was asked, and end."""
        for task in (*self._accepting, *self._opening):
            task.cancel()
        await asyncio.gather(*self._accepting, *self._opening, return_exceptions=True)
        await super().shutdown(sockets)
        await self._forwarder.close()

    async def on_tick(self, counter: int) -> bool:
        """Look at the files, and have everybody show a certificate again where they have changed."""
        if counter % LOOK_EVERY_TICKS == 0:
            self._certificates.look_at_list()
            if self._certificates.changed():
                for connection in list(self.server_state.connections):
                    if isinstance(connection, FrontProtocol):
                        connection.close_soon()
        return await super().on_tick(counter)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listener)
            except OSError as error:
                log.warning("no connection can be accepted: %s", error.strerror)
                await asyncio.sleep(1.0 if error.errno in RESTS else 0.05)
                continue
            try:
                self._open(accepted, str(address[0]))
            except OSError as error:  # it was closed meanwhile
                accepted.close()
                log.warning("a connection was not opened: %s", error.strerror)

    def _open(self, accepted: socket.socket, address: str) -> None:
        accepted.setblocking(False)
        if len(self.server_state.connections) >= self._settings.connections:
            note("refused", address=address, why="too many connections")
            accepted.close()
            return
        self._make_room(origin_of(address))
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = asyncio.create_task(self._shake_hands(accepted, address))
        self._opening[task] = origin_of(address)
        task.add_done_callback(partial(self._opened, accepted))

    def _opened(self, accepted: socket.socket, task: asyncio.Task[None]) -> None:
        self._opening.pop(task, None)
        if task.cancelled():  # before it began
            accepted.close()

    def _make_room(self, origin: str) -> None:
        """Give up the oldest handshakes: a hospital's takes a moment, and whoever says nothing keeps nobody out."""
        own = [task for task, other in self._opening.items() if other == origin]
        too_many = max(0, len(self._opening) - self._settings.opening + 1)
        for task in {*own[: max(0, len(own) - EACH_ORIGIN + 1)], *[*self._opening][:too_many]}:
            del self._opening[task]
            task.cancel()

    async def _shake_hands(self, accepted: socket.socket, address: str) -> None:
        made = partial(self._protocol, asyncio.get_running_loop())
        words: list[bytes] = []
        LAST_WORDS.set(words)
        kept_open = accepted.dup()
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                made,
                accepted,
                ssl=self._certificates.context,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=SHUTDOWN_S,
            )
        except (OSError, asyncio.CancelledError) as error:
            accepted.close()
            note("refused", address=address, why=f"no handshake: {_reason(error)}")
            await _say_why(kept_open, words)
        finally:
            kept_open.close()

    def _protocol(self, loop: asyncio.AbstractEventLoop) -> FrontProtocol:
        return FrontProtocol(
            self._shared,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=loop,
        )


def origin_of(address: str) -> str:
    """An IPv4 address, or the network of an IPv6 address: whoever has one of its addresses has 2 ** 64."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or IPv6Network((found, 64), strict=False))
    return str(found)


async def _say_why(connection: socket.socket, words: list[bytes]) -> None:
    """Let the other side know what is wrong with its certificate, and time to read it."""
    said = b"".join(words)
    with suppress(OSError):
        if said:
            connection.send(said)
            connection.shutdown(socket.SHUT_WR)
            await asyncio.sleep(LINGER_S)


def _reason(error: BaseException) -> str:
    """OpenSSL's own words: `certificate has expired`, `CRL has expired`, `certificate revoked`."""
    said = getattr(error, "verify_message", None) or getattr(error, "reason", None)
    return str(said or error or type(error).__name__)[:200]


def _uvicorn_config(forwarder: Forwarder, settings: FrontSettings) -> uvicorn.Config:
    return uvicorn.Config(
        forwarder,
        loop="asyncio",
        interface="asgi3",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=int(settings.idle_s) or 1,
        timeout_graceful_shutdown=10,
    )


def listener_of(settings: FrontSettings) -> socket.socket:
    """Where hospitals arrive. Raises EngineError where the address cannot be had."""
    try:
        host = settings.listen or ("::" if socket.has_dualstack_ipv6() else "0.0.0.0")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        both = family == socket.AF_INET6 and not settings.listen
        made = socket.create_server((host, settings.port), family=family, dualstack_ipv6=both, backlog=256)
    except OSError as error:
        where = f"{settings.listen or 'any address'}, port {settings.port}"
        raise EngineError(f"the front cannot listen on {where}: {error.strerror or error}.") from error
    made.setblocking(False)
    return made


def serve(folder: Path, settings: FrontSettings, ready: Callable[[int], None]) -> None:
    """Serve until a signal ends it. ready: told the port once hospitals can come.

    Raises FileError and EngineError for what will not mend by itself.
    """
    server = FrontServer(folder, settings)
    listener = listener_of(settings)
    ready(listener.getsockname()[1])
    server.run(sockets=[listener])
