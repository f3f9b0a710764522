"""Attacks between coordinator and hospitals that worked: on the front, on a node, and on what lies between them."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.proto.fleet_pb2 import PushMessagesRequest

from client.fleet.connection import Connection, connect_plainly
from client.fleet.inbox import Inbox
from client.fleet.loop import Loop, RefusedForGoodError, Stopped
from client.fleet.outcomes import Unreached, called
from client.fleet.presence import Presence
from common.errors import FileError
from common.files.access import write
from experiments.coordinator.attempts import Attempt
from experiments.coordinator.job_queue import JobQueue, Standing
from experiments.coordinator.standing import standing_of
from server.front.serving import FrontServer, listener_of, origin_of
from server.front.settings import FrontSettings
from tests.security.fronts import (
    GIVE_UP_S,
    Consortium,
    Member,
    context_for,
    exchange,
    post,
    served,
    status_of,
)

EACH = 4
PUSH = "/v1/fleet/push-messages"


@dataclass
class Behind:
    """A SuperLink that takes requests and answers none until it is told to. asked: how many whole ones came."""

    port: int = 0
    asked: int = 0
    go_on: threading.Event = field(default_factory=threading.Event)


@contextmanager
def slow_link() -> Iterator[Behind]:
    kept, lock = Behind(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            with lock:
                kept.asked += 1
            kept.go_on.wait(GIVE_UP_S)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with served(Handler) as kept.port:
        try:
            yield kept
        finally:
            kept.go_on.set()


@dataclass
class Place:
    port: int
    server: FrontServer
    behind: Behind
    consortium: Consortium
    alpha: Member
    beta: Member

    def ask(self, data: bytes, who: Member | None = None) -> int:
        return status_of(exchange(self.port, context_for(self.consortium.authority, who or self.alpha), data))


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Consortium:
    one = Consortium(tmp_path_factory.mktemp("coordinator"))
    one.write_front()
    return one


@pytest.fixture
def place(consortium: Consortium) -> Iterator[Place]:
    with slow_link() as behind:
        settings = FrontSettings(
            listen="127.0.0.1", port=0, link=f"http://127.0.0.1:{behind.port}", connections_each=EACH, opening=8
        )
        server = FrontServer(consortium.folder, settings)
        listener = listener_of(settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            alpha, beta = consortium.member("alpha"), consortium.member("beta")
            yield Place(listener.getsockname()[1], server, behind, consortium, alpha, beta)
        finally:
            behind.go_on.set()
            server.should_exit = True
            thread.join()
            listener.close()


def until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + GIVE_UP_S
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.02)


def ask_and_leave(place: Place, body: bytes) -> None:
    context = context_for(place.consortium.authority, place.alpha)
    with (
        suppress(OSError),
        socket.create_connection(("127.0.0.1", place.port), GIVE_UP_S) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        tls.sendall(post(header=place.alpha.header, body=body))


def test_a_hospital_that_asks_and_leaves_holds_no_more_than_one_that_stays(place: Place) -> None:
    """Each request it left behind was forwarded all the same, beyond every bound on connections and memory."""
    for _ in range(2 * EACH):
        ask_and_leave(place, bytes(1 << 10))
    until(lambda: place.behind.asked >= EACH and not place.server.server_state.connections)
    assert place.behind.asked == EACH
    assert place.server._shared.received_bytes == EACH << 10
    place.behind.go_on.set()
    until(lambda: not place.server._shared.received_bytes and not place.server._shared.connections)
    assert place.ask(post(header=place.alpha.header)) == 200


def test_whoever_opens_connections_and_says_nothing_keeps_no_hospital_out(place: Place) -> None:
    """As many as may be open, from several addresses: each lasts ten seconds, and nobody else came in."""
    place.behind.go_on.set()
    with ExitStack() as kept:
        for number in range(16):
            plain = socket.socket()
            kept.callback(plain.close)
            plain.bind((f"127.0.0.{number // 2 + 2}", 0))
            plain.connect(("127.0.0.1", place.port))
        until(lambda: len(place.server._opening) == 8)
        assert place.ask(post(header=place.alpha.header)) == 200


def test_a_network_of_addresses_is_one_origin() -> None:
    assert origin_of("2001:db8::1") == origin_of("2001:db8::ffff:1") != origin_of("2001:db8:0:1::1")
    assert origin_of("::ffff:192.0.2.1") == "192.0.2.1" != origin_of("::ffff:192.0.2.2")
    assert origin_of("fe80::1%eth0") == origin_of("fe80::2")


def pushing(objects: int, messages: int = 1) -> bytes:
    request = PushMessagesRequest()
    request.node.node_id = 7
    for _ in range(messages):
        request.messages_list.add().metadata.src_node_id = 7
    tree = request.message_object_trees.add(object_id=sha256(b"root").hexdigest())
    for number in range(objects - 1):
        tree.children.add(object_id=sha256(str(number).encode()).hexdigest())
    return request.SerializeToString()


def test_a_reply_of_very_many_objects_does_not_reach_the_superlink(place: Place) -> None:
    """120 000 fit in one request, and each is several statements to a data base that serves nobody else meanwhile."""
    place.behind.go_on.set()
    assert place.ask(post(PUSH, place.alpha.header, pushing(300))) == 200
    assert place.ask(post(PUSH, place.alpha.header, pushing(2000))) == 403
    assert place.ask(post(PUSH, place.alpha.header, pushing(2, messages=2))) == 403
    assert place.behind.asked == 1


@dataclass
class Liar:
    """A coordinator that answers everything in one way."""

    status: int = 200
    kind: str = "application/protobuf"
    body: bytes = b""
    date: str = ""


@contextmanager
def lying(liar: Liar) -> Iterator[Connection]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response_only(liar.status)
            if liar.date:
                self.send_header("date", liar.date)
            self.send_header("content-type", liar.kind)
            self.send_header("content-length", str(len(liar.body)))
            self.end_headers()
            self.wfile.write(liar.body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    connection = connect_plainly(
        f"http://127.0.0.1:{server.server_address[1]}", ec.generate_private_key(ec.SECP384R1())
    )
    try:
        yield connection
    finally:
        connection.calls.close()
        server.shutdown()
        server.server_close()
        thread.join()


LIES: dict[str, Callable[[], Liar]] = {
    "hexadecimal": lambda: Liar(500, "text/plain; charset=hex", b"zz"),
    "unpacks to 200 MB": lambda: Liar(500, "text/plain; charset=zlib", zlib.compress(bytes(200_000_000))),
    "a codec that raises": lambda: Liar(500, "text/plain; charset=undefined", b"zz"),
    "turned letters": lambda: Liar(500, "text/plain; charset=rot13", b"zz"),
    "names of hosts": lambda: Liar(500, "text/plain; charset=idna", b"a." * 9000),
    "deep": lambda: Liar(500, body=b"[" * 15000),
    "a long number": lambda: Liar(500, body=b'{"code":' + b"9" * 9000 + b',"detail":"x"}'),
}


@pytest.mark.parametrize("lie", LIES)
def test_no_error_of_a_coordinator_ends_a_node(lie: str) -> None:
    with lying(LIES[lie]()) as connection, pytest.raises(Unreached):
        called(lambda: connection.calls.pull(5))


def test_nobody_on_the_way_makes_a_node_end_for_good() -> None:
    """A word of TLS before the other side has shown who it is: revoked. Believed for 75 s, it needed a person."""
    revoked = bytes.fromhex("15 0303 0002 02 2c")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            accepted, _ = server.accept()
            with accepted:
                accepted.recv(4096)
                accepted.sendall(revoked)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(Unreached, match="revoked"):
            called(lambda: httpx.post(f"https://127.0.0.1:{server.getsockname()[1]}/", verify=True))
        thread.join()


@pytest.mark.parametrize(("status", "is_believed"), [(404, False), (401, False), (403, True)])
def test_a_web_server_in_the_place_of_the_front_ends_no_node_that_was_let_in(status: int, is_believed: bool) -> None:
    liar = Liar()
    with lying(liar) as connection:
        one = Loop(connection, None, None, None, None, threading.Event(), patience_s=0.0)  # type: ignore[arg-type]
        one._come_back = one.stop.set  # type: ignore[method-assign]
        one._insist(lambda: connection.calls.pull(5))
        liar.status = status
        with pytest.raises(RefusedForGoodError if is_believed else Stopped):
            one._insist(lambda: connection.calls.pull(5))


def test_a_run_that_is_said_to_be_over_where_none_was_asked_about_ends_no_node(tmp_path: Path) -> None:
    over = json.dumps({"code": 2007, "detail": "x"}).encode()
    with lying(Liar(412, body=over)) as connection:
        presence = Presence(connection, tmp_path, 5)
        one = Loop(connection, presence, Inbox(tmp_path), None, None, threading.Event())  # type: ignore[arg-type]
        presence.node_id = 5
        with pytest.raises(Unreached):
            presence.ensure()
        ending = threading.Timer(0.5, one.stop.set)
        ending.start()
        one.run()
        with pytest.raises(Stopped):
            one.one()


@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 2060 00:00:00 GMT"])
def test_no_coordinator_has_a_node_date_its_signatures_years_ahead(
    date: str, caplog: pytest.LogCaptureFixture
) -> None:
    with lying(Liar(date=date)) as connection, caplog.at_level(logging.WARNING):
        one = Loop(connection, None, None, None, None, threading.Event())  # type: ignore[arg-type]
        for _ in range(3):
            assert called(lambda: connection.calls.pull(5)) == b""
            one._mind_the_clock()
        assert connection.identity.ahead_s == 0.0
    assert len([1 for record in caplog.records if "not believed" in record.message]) == 1


DAMAGED = [
    ("job.json", {"folder": ["x"]}),
    ("job.json", {"folder": "\ud800"}),
    ("job.json", {"folder": "\0"}),
    ("job.json", {"study": 5}),
    ("state.json", {"attempts": 5}),
    ("state.json", {"attempts": [5]}),
    ("state.json", {"next_at": "soon"}),
    ("state.json", {"run_id": 1.5}),
]


@pytest.mark.parametrize(("file", "change"), DAMAGED)
def test_a_damaged_job_does_not_end_what_serves_the_others(tmp_path: Path, file: str, change: dict[str, Any]) -> None:
    queue = JobQueue(tmp_path)
    damaged = queue.submit("one", "rounds = 1", tmp_path / "one")
    queue.keep(damaged, Standing("running"))
    place = tmp_path / "queue" / damaged.id / file
    place.write_text(json.dumps({**json.loads(place.read_text()), **change}))
    with pytest.raises(FileError):
        queue.standing(queue.job(damaged.id))
    assert queue.submit("two", "rounds = 1", tmp_path / "two").id == "000002"


def test_a_job_is_the_one_in_whose_folder_it_lies(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path)
    place = tmp_path / "queue" / queue.submit("one", "rounds = 1", tmp_path / "one").id / "job.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), "id": "../../elsewhere"}))
    assert queue.job("1").id == "000001"


@pytest.mark.parametrize("file", ["link/supervisor.json", "run/live.json", "run/rounds.jsonl", "run/conducted.json"])
@pytest.mark.parametrize(
    "said", [{"programs": 5}, {"programs": {"a": 5}}, {"pid": -1}, {"sites": 5}, {"dropped": [5]}]
)
def test_status_is_said_whatever_stands_in_a_runs_files(tmp_path: Path, file: str, said: dict[str, Any]) -> None:
    write(tmp_path, "server.toml", "")
    write(tmp_path, "authority/ca.crt", "")
    queue = JobQueue(tmp_path)
    job = queue.submit("one", "rounds = 1", tmp_path / "run")
    queue.keep(job, Standing("running", "7"))
    write(tmp_path, file, json.dumps(said) + "\n")
    assert standing_of(tmp_path)["jobs"][0]["name"] == "one"
    assert Attempt(job, "7").seen() == "starting"


def test_a_hospital_cannot_be_the_front_of_others_by_its_name(consortium: Consortium) -> None:
    """A member may be called as the front's host is; its certificate is no server's."""
    thief = consortium.member("localhost")
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(thief.chain)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            accepted, _ = server.accept()
            with suppress(OSError), accepted, server_side.wrap_socket(accepted, server_side=True):
                pass

        thread = threading.Thread(target=serve)
        thread.start()
        context = context_for(consortium.authority, consortium.member("alpha"))
        with (
            socket.create_connection(server.getsockname(), GIVE_UP_S) as plain,
            pytest.raises(ssl.SSLCertVerificationError, match=r"purpose|unsuitable"),
        ):
            context.wrap_socket(plain, server_hostname="localhost")
        thread.join()
