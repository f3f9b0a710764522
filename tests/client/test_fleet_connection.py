"""The way out of a hospital: whom a node trusts, what it shows of itself, by which proxy, and what it takes back."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from pathlib import Path
from threading import Thread

import httpx
import pytest

from client.fleet.connection import LARGEST_ANSWER_BYTES, Connection, connect, proxy_for
from client.fleet.outcomes import Refused, Unreached, called
from client.node_settings import NodeSettings, read_settings
from common.errors import HospitalError
from experiments.engines import _consortium

DATE = formatdate(usegmt=True).encode()
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\ndate: " + DATE + b"\r\n\r\n"
Answer = Callable[[socket.socket], None]


class Server:
    """One port that takes connections one after the other. heard: first lines; shown: names on certificates."""

    def __init__(self, context: ssl.SSLContext | None, answer: Answer) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._context, self._answer = context, answer
        self.port = self._socket.getsockname()[1]
        self.heard: list[str] = []
        self.shown: list[object] = []
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._socket.accept()
            except OSError:
                return
            with suppress(OSError), plain:
                plain.settimeout(20)
                if self._context is None:
                    self._converse(plain)
                else:
                    with self._context.wrap_socket(plain, server_side=True) as secret:
                        self.shown.append(dict(one[0] for one in secret.getpeercert()["subject"])["commonName"])
                        self._converse(secret)

    def _converse(self, one: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head and (more := one.recv(1 << 16)):
            head += more
        head, _, body = head.partition(b"\r\n\r\n")
        size = re.search(rb"content-length: (\d+)", head.lower())
        while size and len(body) < int(size[1]) and (more := one.recv(1 << 16)):  # what is left unread resets the way
            body += more
        self.heard.append(head.split(b"\r\n")[0].decode())
        self._answer(one)

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(30)


@contextmanager
def serving(context: ssl.SSLContext | None, answer: Answer = lambda one: one.sendall(OK)) -> Iterator[Server]:
    server = Server(context, answer)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two consortia, of one hospital each: ours, and another."""
    place = tmp_path_factory.mktemp("consortia")
    for name in ("ours", "theirs"):
        _consortium.make(place / name, {"va": place / f"{name}-va"})
    return {path.name: path for path in place.iterdir()}


def front(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "front" / "tls.crt", folder / "front" / "tls.key")
    context.load_verify_locations(folder / "front" / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextmanager
def connected(folder: Path, address: str, proxy: str = "") -> Iterator[Connection]:
    connection = connect(NodeSettings("va", address, "", proxy), folder)
    try:
        yield connection
    finally:
        connection.calls.close()


def beat(connection: Connection) -> bool:
    return called(lambda: connection.calls.heartbeat(5))


def test_a_node_shows_its_certificate_to_the_consortiums_front_alone(folders: dict[str, Path]) -> None:
    with serving(front(folders["ours"])) as server:
        with connected(folders["ours-va"], f"https://127.0.0.1:{server.port}") as connection:
            assert beat(connection) is False  # an empty answer says that nobody knows the node
        assert server.shown == ["va"]
        assert server.heard == ["POST /v1/fleet/send-node-heartbeat HTTP/1.1"]
        assert connection.clock.heard


def test_a_front_of_another_authority_hears_nothing(folders: dict[str, Path]) -> None:
    with serving(front(folders["theirs"])) as server:
        with (
            connected(folders["ours-va"], f"https://127.0.0.1:{server.port}") as connection,
            pytest.raises(Unreached, match="certificate verify failed"),
        ):
            beat(connection)
        assert server.heard == []


def test_a_front_of_another_name_hears_nothing(folders: dict[str, Path]) -> None:
    with serving(front(folders["ours"])) as server:
        with (
            connected(folders["ours-va"], f"https://localhost:{server.port}") as connection,
            pytest.raises(Unreached, match="certificate verify failed"),
        ):
            beat(connection)
        assert server.heard == []


def test_a_front_of_an_older_tls_hears_nothing(folders: dict[str, Path]) -> None:
    context = front(folders["ours"])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with serving(context) as server:
        with (
            connected(folders["ours-va"], f"https://127.0.0.1:{server.port}") as connection,
            pytest.raises(Unreached),
        ):
            beat(connection)
        assert server.heard == []


def redirecting(one: socket.socket) -> None:
    one.sendall(b"HTTP/1.1 307 x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")


def endless(one: socket.socket) -> None:
    one.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(2 * LARGEST_ANSWER_BYTES // (1 << 16)):
        one.sendall(b"10000\r\n" + b"\0" * (1 << 16) + b"\r\n")


def swelling(one: socket.socket) -> None:
    one.sendall(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nxx")


def cut_short(one: socket.socket) -> None:
    one.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nxx")


def garbled(one: socket.socket) -> None:
    one.sendall(b"\x00\xff\r\n\r\n")


def dated_absurdly(one: socket.socket) -> None:
    one.sendall(OK.replace(DATE, b"Fri, 99 Nov 99999999 00:00:00 GMT"))


@pytest.mark.parametrize("answer", [endless, swelling, cut_short, garbled], ids=lambda one: one.__name__)
def test_an_answer_that_is_none_is_tried_again_and_never_held_whole(folders: dict[str, Path], answer: Answer) -> None:
    with (
        serving(front(folders["ours"]), answer) as server,
        connected(folders["ours-va"], f"https://127.0.0.1:{server.port}") as connection,
        pytest.raises(Unreached),
    ):
        beat(connection)


def test_nobody_is_sent_elsewhere(folders: dict[str, Path]) -> None:
    with (
        serving(front(folders["ours"]), redirecting) as server,
        connected(folders["ours-va"], f"https://127.0.0.1:{server.port}") as connection,
        pytest.raises(Refused, match="307"),
    ):
        beat(connection)


def test_a_date_that_cannot_be_is_no_date(folders: dict[str, Path]) -> None:
    with (
        serving(front(folders["ours"]), dated_absurdly) as server,
        connected(folders["ours-va"], f"https://127.0.0.1:{server.port}") as connection,
    ):
        beat(connection)
    assert not connection.clock.heard


def tunnel(one: socket.socket) -> None:
    """Refuses, after it was asked: what it was asked is what matters."""
    one.sendall(b"HTTP/1.1 502 x\r\ncontent-length: 0\r\n\r\n")


def test_the_hospitals_own_proxy_is_asked_for_a_tunnel_and_shown_nothing_else(folders: dict[str, Path]) -> None:
    with serving(None, tunnel) as proxy:
        way = f"http://127.0.0.1:{proxy.port}"
        with (
            connected(folders["ours-va"], "https://coordinator.example:443", way) as connection,
            pytest.raises(Unreached),
        ):
            beat(connection)
        assert proxy.heard == ["CONNECT coordinator.example:443 HTTP/1.1"]


def test_a_proxy_of_the_environment_is_used_only_where_the_settings_say_so(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    for name in ("no_proxy", "NO_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    address = "https://coordinator.example"
    assert proxy_for(NodeSettings("va", address)) is None
    assert proxy_for(NodeSettings("va", address, "", "environment")) == "http://proxy.example:3128"
    assert proxy_for(NodeSettings("va", address, "", "http://own:1")) == "http://own:1"
    monkeypatch.setenv("no_proxy", "coordinator.example")
    assert proxy_for(NodeSettings("va", address, "", "environment")) is None
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    with serving(front(folders["ours"])) as server:
        with connected(folders["ours-va"], f"https://127.0.0.1:{server.port}") as connection:
            beat(connection)
        assert len(server.heard) == 1


@pytest.mark.parametrize("name", ["tls.crt", "tls.key", "authority.crt", "node.key"])
@pytest.mark.parametrize("spoil", ["absent", "link", "garbage"])
def test_a_key_that_is_absent_damaged_or_a_link_is_named(
    folders: dict[str, Path], tmp_path: Path, name: str, spoil: str
) -> None:
    keys = folders["ours-va"] / "keys"
    (tmp_path / "keys").mkdir()
    for path in keys.iterdir():
        if path.is_file() and (path.name != name or spoil != "absent"):
            (tmp_path / "keys" / path.name).write_bytes(path.read_bytes() if path.name != name else b"garbage")
    if spoil == "link":
        (tmp_path / "keys" / name).unlink()
        (tmp_path / "keys" / name).symlink_to(keys / name)
    with pytest.raises(HospitalError, match=name):
        connect(read_settings(folders["ours-va"]), tmp_path)


@pytest.mark.parametrize(
    ("alert", "kind", "said"),
    [("revoked", Refused, "enrol anew"), ("expired", Unreached, "wardround doctor"), ("unknown", Unreached, "alert")],
)
def test_a_certificate_that_a_front_refuses_is_spoken_of_with_its_remedy(
    alert: str, kind: type[Exception], said: str
) -> None:
    def refused() -> None:
        try:
            raise ssl.SSLError(1, f"[SSL: SSLV3_ALERT] sslv3 alert certificate {alert} (_ssl.c:1)")
        except ssl.SSLError as error:
            raise httpx.ReadError("x") from error

    with pytest.raises(kind, match=said):
        called(refused)
