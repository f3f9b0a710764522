"""The way from a hospital to the coordinator's front: mutual TLS 1.3, a proxy if any, bounds on what comes back."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from client.node_settings import ENVIRONMENT, KEYS, NodeSettings
from common.errors import FileError, HospitalError
from common.files.access import check, read
from common.wire.flower_inside import Calls, SignedIdentity

CALL_TIMEOUT_S = 30.0
"""For each step of a call: to connect, to send some bytes, to receive some."""
LONGEST_CALL_S = 900.0
"""For a whole answer, however slowly it drips."""
LARGEST_OBJECT_BYTES = 1 << 26
"""Flower cuts arrays in pieces of 5 MiB."""
LARGEST_ANSWER_BYTES = 1 << 22
"""Of any other call."""
LARGEST_KEY_BYTES = 1 << 16


LARGEST_SKEW_S = 86400.0
"""More than a zone set wrong. What this node signs is dated by the coordinator's clock, but never years ahead."""
LOG = logging.getLogger("wardround.node")


@dataclass
class Clock:
    """How far this machine's clock is ahead of the coordinator's, as its answers' Date says, to a second."""

    ahead_s: float = 0.0
    heard: bool = False
    doubted: bool = False

    def hear(self, date: str | None, sent: float, came: float) -> None:
        """sent, came: this machine's time at both ends of the call."""
        with suppress(TypeError, ValueError, OverflowError):
            told = parsedate_to_datetime(str(date)).timestamp() + 0.5
            ahead_s = (sent + came) / 2 - told
            if abs(ahead_s) <= LARGEST_SKEW_S:
                self.ahead_s, self.heard = ahead_s, True
            elif not self.doubted:
                self.doubted = True
                LOG.warning("the coordinator says that it is %s, which is not believed", date)


@dataclass
class Connection:
    """An open way to the coordinator, and what it showed of the two clocks."""

    calls: Calls
    identity: SignedIdentity
    clock: Clock
    address: str = ""


def connect(settings: NodeSettings, folder: Path) -> Connection:
    """Nothing is sent yet. Raises HospitalError where a key or certificate is absent or unusable."""
    identity, context = SignedIdentity(_node_key(folder)), tls_context(folder)
    return _over(_transport(context, proxy_for(settings)), settings.coordinator.rstrip("/"), identity)


def connect_plainly(base_url: str, key: EllipticCurvePrivateKey) -> Connection:
    """Without TLS, for tests against a SuperLink of the same machine alone."""
    if urlsplit(base_url).hostname != "127.0.0.1":
        raise HospitalError("a way without TLS leads to 127.0.0.1 only.")
    return _over(_transport(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), None), base_url, SignedIdentity(key))


def _over(transport: httpx.BaseTransport, base_url: str, identity: SignedIdentity) -> Connection:
    """Nothing is followed elsewhere, asked of the environment, or packed."""
    clock = Clock()
    http = httpx.Client(
        transport=_Bounded(transport, clock),
        timeout=CALL_TIMEOUT_S,
        follow_redirects=False,
        trust_env=False,
        headers={"accept-encoding": "identity"},
    )
    return Connection(Calls(base_url, http, identity), identity, clock, base_url)


def tls_context(folder: Path) -> ssl.SSLContext:
    """TLS 1.3 to whoever the consortium's authority certified for the name that is asked for, and to nobody else.

    Raises HospitalError naming the file that is absent or unusable.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.hostname_checks_common_name = False  # a hospital's name stands there
    try:
        context.load_verify_locations(cadata=_key_file(folder, "authority.crt").decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise HospitalError(f"{KEYS}/authority.crt is no certificate; take it over again: node accept.") from error
    for name in ("tls.crt", "tls.key"):
        _key_file(folder, name)
    try:
        context.load_cert_chain(folder / KEYS / "tls.crt", folder / KEYS / "tls.key", password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise HospitalError(
            f"{KEYS}/tls.crt and {KEYS}/tls.key are no certificate and its own key; take the reply over again: "
            "node accept."
        ) from error
    return context


def proxy_for(settings: NodeSettings) -> str | None:
    """The proxy that node.toml names, or that the environment names where node.toml says so."""
    if settings.proxy != ENVIRONMENT:
        return settings.proxy or None
    host = urlsplit(settings.coordinator).hostname or ""
    return None if proxy_bypass(host) else getproxies().get("https")


def _transport(context: ssl.SSLContext, proxy: str | None) -> httpx.HTTPTransport:
    """A proxy is asked for a tunnel (CONNECT): TLS goes through it to the coordinator's own end."""
    if proxy is None:
        return httpx.HTTPTransport(verify=context, trust_env=False)
    own = ssl.create_default_context() if proxy.startswith("https://") else None
    try:
        return httpx.HTTPTransport(verify=context, trust_env=False, proxy=httpx.Proxy(proxy, ssl_context=own))
    except (ValueError, httpx.InvalidURL) as error:
        raise HospitalError("proxy in node.toml must read http://host:port.") from error


def _no_password() -> str:
    raise ValueError("a key under a password")


def _node_key(folder: Path) -> EllipticCurvePrivateKey:
    try:
        key = load_ssh_private_key(_key_file(folder, "node.key"), password=None)
    except (ValueError, TypeError) as error:
        raise HospitalError(f"{KEYS}/node.key is no private key in OpenSSH's form without a password.") from error
    if not isinstance(key, EllipticCurvePrivateKey):
        raise HospitalError(f"{KEYS}/node.key must be an ECDSA key (P-384).")
    return key


def _key_file(folder: Path, name: str) -> bytes:
    """Raises HospitalError: links and pipes in a place of keys are no keys."""
    try:
        check(folder, f"{KEYS}/{name}")
        return read(folder, f"{KEYS}/{name}", LARGEST_KEY_BYTES)
    except FileError as error:
        raise HospitalError(f"{error} It comes from `wardround node enrol` and `node accept`.") from error


@dataclass
class _Bounded(httpx.BaseTransport):
    """Answers as they come, up to a size and a time; none is unpacked, so that little cannot become much."""

    inner: httpx.BaseTransport
    clock: Clock = field(default_factory=Clock)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        sent = datetime.now(UTC).timestamp()
        response = self.inner.handle_request(request)
        self.clock.hear(response.headers.get("date"), sent, datetime.now(UTC).timestamp())
        if response.headers.get("content-encoding", "identity") != "identity":
            response.close()
            raise httpx.RemoteProtocolError("an answer is packed, which was not asked for")
        largest = LARGEST_OBJECT_BYTES if request.url.path.endswith("/pull-object") else LARGEST_ANSWER_BYTES
        assert isinstance(response.stream, httpx.SyncByteStream)
        stream = _Counted(response.stream, largest)
        return httpx.Response(
            response.status_code, headers=response.headers, stream=stream, extensions=response.extensions
        )

    def close(self) -> None:
        self.inner.close()


@dataclass
class _Counted(httpx.SyncByteStream):
    inner: httpx.SyncByteStream
    largest_bytes: int

    def __iter__(self) -> Iterator[bytes]:
        size, deadline = 0, monotonic() + LONGEST_CALL_S
        for piece in self.inner:
            size += len(piece)
            if size > self.largest_bytes:
                raise httpx.RemoteProtocolError(f"an answer is longer than {self.largest_bytes} bytes")
            if monotonic() > deadline:
                raise httpx.ReadTimeout(f"an answer takes longer than {LONGEST_CALL_S:g} s")
            yield piece

    def close(self) -> None:
        self.inner.close()
