"""A consortium, a stand-in for the SuperLink that keeps what reaches it, and both fronts before it."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509

from common.consortium import certificates as made
from common.files.access import write
from server.front.nginx import configuration
from server.front.serving import FrontServer, listener_of
from server.front.settings import AUTHORITY, CERTIFICATE, KEY, REVOKED, FrontSettings

NOW = datetime.now(UTC).replace(microsecond=0)
PULL = "/v1/fleet/pull-messages"
GIVE_UP_S = 60.0
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True)
class Member:
    """A hospital's keys and certificate, in files."""

    name: str
    chain: Path
    header: str
    node: made.PrivateKey


@dataclass
class Consortium:
    """An authority, and a coordinator's folder with a front's files."""

    folder: Path
    authority: made.Authority = field(default_factory=lambda: made.new_authority("Test", NOW - timedelta(days=100)))
    revoked: dict[int, datetime] = field(default_factory=dict)
    lists: int = 0

    def member(
        self, name: str, authority: made.Authority | None = None, at: datetime = NOW, days: int = 700
    ) -> Member:
        """Made on the spot, with a node key of its own."""
        tls, node = made.new_key(), made.new_key()
        key = made.node_bytes(node.public_key())
        leaf = made.hospital_certificate(authority or self.authority, name, tls.public_key(), key, at, days)
        return self.kept(name, leaf, tls, node)

    def kept(self, name: str, leaf: x509.Certificate, tls: made.PrivateKey, node: made.PrivateKey) -> Member:
        """In one file, as `ssl` takes it."""
        chain = write(self.folder, f"hospitals/{leaf.serial_number}.pem", made.pem(leaf) + made.private_pem(tls))
        header = b64encode(made.node_bytes(node.public_key())).decode()
        return Member(name, chain, header, node)

    def register(self, member: Member) -> None:
        """As the coordinator keeps node keys."""
        write(self.folder, f"node-keys/{member.name}.pub", made.openssh_public(member.node.public_key()))

    def revoke(self, member: Member) -> None:
        """From the next list on."""
        leaf = x509.load_pem_x509_certificates(member.chain.read_bytes())[0]
        self.revoked[leaf.serial_number] = NOW - timedelta(days=1)

    def write_front(self, hosts: tuple[str, ...] = ("localhost", "127.0.0.1")) -> None:
        """Certificate and key, CA, list."""
        key = made.new_key()
        leaf = made.front_certificate(self.authority, hosts, key.public_key(), NOW)
        write(self.folder, CERTIFICATE, made.pem(leaf))
        write(self.folder, KEY, made.private_pem(key))
        write(self.folder, AUTHORITY, made.pem(self.authority.certificate))
        self.write_list()

    def write_list(self, at: datetime = NOW, days: int = 700) -> None:
        """Of those revoked."""
        self.lists += 1
        write(
            self.folder, REVOKED, made.pem(made.revocation_list(self.authority, self.revoked, self.lists, at, days))
        )


@dataclass
class Recorder:
    """What came through: path, headers, body."""

    port: int = 0
    seen: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def recorder() -> Iterator[Recorder]:
    """Answers every request with `answer`, a Server header and a cookie."""
    kept = Recorder()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            kept.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.send_header("content-type", "application/protobuf")
            self.send_header("set-cookie", "a=b")
            self.send_header("content-length", "6")
            self.end_headers()
            self.wfile.write(b"answer")

        do_GET = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_CONNECT = do_POST  # noqa: N815 - of the base class

        def log_message(self, *_: Any) -> None:
            pass

    with served(Handler) as kept.port:
        yield kept


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """A server of plain HTTP in threads of this process; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def python_front(folder: Path, settings: FrontSettings) -> Iterator[int]:
    """In a thread of this process; its port."""
    server = FrontServer(folder, settings)
    listener = listener_of(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@contextmanager
def nginx_front(folder: Path, settings: FrontSettings) -> Iterator[int]:
    """A process of Debian's nginx; its port."""
    text = configuration(folder, settings)
    conf = write(folder, "nginx.conf", text)
    command = ["nginx", "-p", str(folder), "-c", str(conf)]
    command += ["-g", f"daemon off; pid {folder}/nginx.pid;"]
    with (folder / "nginx.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _until_open(settings.port, process)
            yield settings.port
        finally:
            process.terminate()
            try:
                process.wait(GIVE_UP_S)
            finally:
                process.kill()


def _until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + GIVE_UP_S
    while time.monotonic() < ends and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError(f"nginx ended with {process.poll()}")


def free_port() -> int:
    """Free a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def context_for(authority: made.Authority, member: Member | None) -> ssl.SSLContext:
    """A hospital's: this CA alone, TLS 1.3."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=made.pem(authority.certificate).decode())
    if member is not None:
        context.load_cert_chain(member.chain)
    return context


def post(path: str = PULL, header: str | None = None, body: bytes = b"", more: str = "", line: str = "") -> bytes:
    """A request's bytes, as Flower's client sends them. line: instead of its first line."""
    key = "" if header is None else f"flwr-public-key: {header}\r\n"
    head = f"{line or f'POST {path} HTTP/1.1'}\r\nhost: localhost\r\n{key}content-type: application/protobuf\r\n"
    return f"{head}content-length: {len(body)}\r\n{more}\r\n".encode() + body


def exchange(port: int, context: ssl.SSLContext, data: bytes, timeout_s: float = GIVE_UP_S) -> bytes:
    """All that comes back until the other side closes, or an answer is whole; b"" where it is just closed."""
    with (
        suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout_s) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        return _send_and_read(tls, data)
    return b""


def _send_and_read(tls: ssl.SSLSocket, data: bytes) -> bytes:
    with suppress(OSError):
        tls.sendall(data)
    answer = b""
    with suppress(OSError):
        while not _whole(answer, data.startswith(b"HEAD")) and (piece := tls.recv(65536)):
            answer += piece
    return answer.removeprefix(CONTINUE)


def _whole(answer: bytes, head_only: bool) -> bool:
    head, found, body = answer.removeprefix(CONTINUE).partition(b"\r\n\r\n")
    if head_only:
        return bool(found)
    length = re.search(rb"\ncontent-length: *([0-9]+)", head.lower())
    return bool(found) and length is not None and len(body) >= int(length[1])


def status_of(answer: bytes) -> int:
    """0 where there was no answer."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0
