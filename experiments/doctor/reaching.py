"""The way to the coordinator, step by step, so that whoever keeps a firewall hears which of them fails."""

from __future__ import annotations

import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Generator, Iterator
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from client.node_settings import ENVIRONMENT, NodeSettings
from common.consortium.certificates import node_bytes
from common.errors import FileError
from common.files.access import check
from experiments.doctor.finding import Finding, fail, ok, warn
from experiments.doctor.keys import private_key

T = TypeVar("T")
Step = Generator[Finding, None, T | None]
"""Findings on the way, and what the next step needs, or None where there is no next one."""
STEP_S = 10.0
MOST_BYTES = 1 << 14
SKEW_S, DAY_S = 2.0, 86400.0
WHOLE_DAY = "Set this machine's clock, for example with `timedatectl set-ntp true`."
ALERTS = {
    "certificate required": ("it asked for a certificate and got none", "Check keys/tls.crt."),
    "certificate revoked": ("this hospital's certificate is revoked", "Ask the coordinator why, and enrol again."),
    "unknown ca": ("this hospital's certificate is of another consortium", "Accept this consortium's reply."),
    "certificate expired": (
        "it says that the certificate, or its own revocation list, ran out",
        "If `certificate` above is ok, have the coordinator run `wardround consortium renew --front`.",
    ),
    "certificate unknown": ("it does not take this hospital's certificate", "Enrol this hospital again."),
    "bad certificate": ("it does not take this hospital's certificate", "Enrol this hospital again."),
    "unsupported certificate": ("this certificate is not for a hospital", "Enrol this hospital again."),
}
"""OpenSSL's words for what the other side says of us."""
ANSWERS = {
    401: ok("http", "the coordinator lets this hospital through"),
    200: warn(
        "http", "the SuperLink behind the front asks for no signature", "Have it started by `wardround server up`."
    ),
    403: fail("http", "the front refuses the pair of certificate and node key", "Rotate keys, or enrol again."),
    502: fail("http", "the front is there, its SuperLink is not", "Tell the coordinator: server up.", False),
    503: fail("http", "the front has too many connections", "Stop a second node of this hospital.", False),
    504: fail("http", "the SuperLink behind the front does not answer", "Tell the coordinator.", False),
}


def way(folder: Path, settings: NodeSettings) -> Iterator[Finding]:
    """Steps up to the first that fails."""
    target = urlsplit(settings.coordinator)
    host, port = target.hostname or "", target.port or 443
    found = _proxy(settings, host)
    plain = yield from (_connected("tcp", host, port) if found is None else _through(urlsplit(found), host, port))
    if plain is None:
        return
    with plain:
        tls = yield from _encrypted(plain, folder, host)
        if tls is not None:
            with tls:
                yield from _asked(tls, folder, host)


def _proxy(settings: NodeSettings, host: str) -> str | None:
    if settings.proxy != ENVIRONMENT:
        return settings.proxy or None
    return None if proxy_bypass(host) else getproxies().get("https")


def _connected(what: str, host: str, port: int) -> Step[socket.socket]:
    """Name, then connection; the socket, or None."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        remedy = f"Ask whoever keeps this network's DNS to resolve {host}, or add it to /etc/hosts."
        yield fail("dns", f"{host} has no address here ({error.strerror or error})", remedy, False)
        return None
    yield ok("dns", f"{host} is {', '.join(sorted({str(one[4][0]) for one in found}))}")
    try:
        plain = socket.create_connection((host, port), STEP_S)
    except OSError as error:
        remedy = f"Ask whoever keeps the firewall to let this machine out to {host}, TCP port {port}."
        yield fail(what, f"no connection to {host}:{port} ({error.strerror or error})", remedy, False)
        return None
    yield ok(what, f"connected to {host}:{port}")
    return plain


def _through(proxy: SplitResult, host: str, port: int) -> Step[socket.socket]:
    """A tunnel through a proxy; the socket, or None."""
    if proxy.scheme == "https":
        yield warn("proxy", "a proxy behind TLS is not looked into here", "Try the node itself.")
        return None
    plain = yield from _connected("proxy", proxy.hostname or "", proxy.port or 80)
    if plain is None:
        return None
    status = _tunnel(plain, proxy, host, port)
    if status == 200:
        yield ok("tunnel", f"the proxy passes to {host}:{port}")
        return plain
    plain.close()
    remedies = {
        407: "Write user and password into node.toml: proxy = 'http://user:password@host:port'.",
        403: f"Ask whoever keeps the proxy to allow CONNECT to {host}:{port}.",
    }
    remedy = remedies.get(status, f"Ask whoever keeps the proxy whether it reaches {host}:{port}.")
    yield fail("tunnel", f"the proxy answers CONNECT with {status or 'nothing'}", remedy, False)
    return None


def _tunnel(plain: socket.socket, proxy: SplitResult, host: str, port: int) -> int:
    """The proxy's status; 0 for none."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {where} HTTP/1.1", f"Host: {where}"]
    if proxy.username is not None:
        known = b64encode(f"{proxy.username}:{proxy.password or ''}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {known}")
    with suppress(OSError):
        plain.sendall("\r\n".join([*lines, "", ""]).encode())
        return _status(_head(plain))
    return 0


def _encrypted(plain: socket.socket, folder: Path, host: str) -> Step[ssl.SSLSocket]:
    """TLS to whoever the consortium's authority made a certificate for this host; the socket, or None."""
    context = _context(folder)
    try:
        tls = context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        yield fail(
            "tls", f"the other side is not this consortium's front ({error.verify_message})", _who(error, host)
        )
        return None
    except OSError as error:
        remedy = "Check the port in node.toml: coordinator; a firewall that opens TLS must leave this host alone."
        yield fail("tls", f"no TLS 1.3 ({getattr(error, 'reason', None) or error})", remedy)
        return None
    yield ok("tls", f"{tls.version()} with the consortium's front")
    return tls


def _who(error: ssl.SSLCertVerificationError, host: str) -> str:
    if error.verify_code in (9, 10):
        return "If this machine's clock is right, have the coordinator run `wardround consortium renew --front`."
    if error.verify_code in (62, 64):
        return f"Have the coordinator add {host} to its front's certificate, or use the name that it has."
    return "If a firewall opens TLS here, ask whoever keeps it to leave this host alone; else check the address."


def _context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    for name in ("authority.crt", "tls.crt", "tls.key"):
        check(folder, f"keys/{name}")
    try:
        context.load_verify_locations(cafile=folder / "keys/authority.crt")
        context.load_cert_chain(folder / "keys/tls.crt", folder / "keys/tls.key", password=str)
    except (OSError, ValueError) as error:
        raise FileError(folder / "keys", f"cannot be used for TLS ({getattr(error, 'reason', error)})") from error
    return context


def _asked(tls: ssl.SSLSocket, folder: Path, host: str) -> Iterator[Finding]:
    """A request that carries the node key and no signature: a front passes it, and a SuperLink answers 401."""
    key = b64encode(node_bytes(private_key(folder, "keys/node.key").public_key())).decode()
    lines = ["POST /v1/fleet/send-node-heartbeat HTTP/1.1", f"host: {host}", f"flwr-public-key: {key}"]
    lines += ["content-type: application/protobuf", "connection: close", "content-length: 0", "", ""]
    sent = time.time()
    try:
        tls.sendall("\r\n".join(lines).encode())
        head = _head(tls)
    except OSError as error:
        yield _refused(error)
        return
    status = _status(head)
    strange = fail("http", f"an answer of {status}, which no front gives", "Check the address in node.toml.")
    yield ANSWERS.get(status, strange)
    yield from _clock(head, (sent + time.time()) / 2)


def _refused(error: OSError) -> Finding:
    reason = str(getattr(error, "reason", None) or error).lower().replace("_", " ")
    said, remedy = next(
        (found for words, found in ALERTS.items() if words in reason),
        (f"the front ends the connection ({reason[:80]})", "Ask the coordinator what its front's log says."),
    )
    return fail("http", said, remedy)


def _clock(head: bytes, here: float) -> Iterator[Finding]:
    dates = [line[5:].strip() for line in head.decode("latin-1").split("\r\n") if line.lower().startswith("date:")]
    if not dates:
        return
    try:
        ahead = here - parsedate_to_datetime(dates[0]).timestamp() - 0.5
    except (ValueError, OverflowError):
        return
    said = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the coordinator's"
    if abs(ahead) > DAY_S:
        yield fail("clock", said, WHOLE_DAY)
    elif abs(ahead) > SKEW_S:
        yield warn("clock", said, WHOLE_DAY)
    else:
        yield ok("clock", "within 2 s of the coordinator's")


def _head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < MOST_BYTES:
        piece = connection.recv(1024)
        if not piece:
            break
        head += piece
    return head


def _status(head: bytes) -> int:
    parts = head.split(b" ", 2)
    return int(parts[1]) if len(parts) > 1 and parts[0].startswith(b"HTTP/1.") and parts[1].isdigit() else 0
