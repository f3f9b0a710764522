"""The outsider table: whoever is not a hospital of the consortium, with its own two keys, gets nothing through.

Each row is tried on both fronts, Python's and nginx', before one stand-in that keeps whatever reaches it.
"""

from __future__ import annotations

import shutil
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from flwr.proto.fleet_pb2 import PushMessagesRequest

from common.consortium import certificates as made
from server.front.rules import PATHS
from server.front.settings import FrontSettings
from tests.security.fronts import (
    GIVE_UP_S,
    NOW,
    PULL,
    Consortium,
    Member,
    Recorder,
    context_for,
    exchange,
    free_port,
    nginx_front,
    post,
    python_front,
    recorder,
    status_of,
)
from tests.security.spellings import LENGTHS, LINES, OTHER_PATHS, SMUGGLED

BODY_BYTES = 1 << 20
PATIENCE_S, HURRY_S = 60.0, 1.0


@dataclass
class Place:
    """A front, and everybody who might come to it."""

    kind: str
    port: int
    behind: Recorder
    consortium: Consortium
    who: dict[str, ssl.SSLContext]
    alpha: Member
    beta: Member
    gamma: Member

    def ask(self, data: bytes, who: str = "alpha") -> int:
        """The status of what comes back; 0 where the connection is closed instead."""
        return status_of(exchange(self.port, self.who[who], data))

    def demand_refused(self, data: bytes, who: str = "alpha") -> None:
        before = len(self.behind.seen)
        status = self.ask(data, who)
        assert status == 0 or status >= 400
        assert self.behind.seen[before:] == []


def people(consortium: Consortium, alpha: Member, beta: Member, gamma: Member) -> dict[str, ssl.SSLContext]:
    """By what is wrong with them."""
    other = made.new_authority("Other", NOW - timedelta(days=100))
    revoked = consortium.member("revoked")
    consortium.register(revoked)
    consortium.revoke(revoked)
    members = {
        "alpha": alpha,
        "beta": beta,
        "gamma": gamma,
        "expired": consortium.member("alpha", at=NOW - timedelta(days=50), days=40),
        "not yet valid": consortium.member("alpha", at=NOW + timedelta(days=50)),
        "revoked": revoked,
        "of another CA": consortium.member("alpha", other),
        "self-signed": self_signed(consortium, alpha),
        "a server": server_certificate(consortium),
        "without a node": certificate_without_node(consortium),
    }
    who = {name: context_for(consortium.authority, member) for name, member in members.items()}
    who["anonymous"] = context_for(consortium.authority, None)
    old = context_for(consortium.authority, alpha)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    return {**who, "TLS 1.2": old}


def self_signed(consortium: Consortium, alpha: Member) -> Member:
    """An authority that names itself like a hospital, with the hospital's URI."""
    fake = made.new_authority("Test", NOW - timedelta(days=100))
    tls = made.new_key()
    node = made.node_bytes(alpha.node.public_key())
    leaf = made.hospital_certificate(fake, "alpha", tls.public_key(), node, NOW)
    return consortium.kept("self-signed", leaf, tls, alpha.node)


def server_certificate(consortium: Consortium) -> Member:
    tls, node = made.new_key(), made.new_key()
    leaf = made.front_certificate(consortium.authority, ["localhost"], tls.public_key(), NOW)
    return consortium.kept("server", leaf, tls, node)


def certificate_without_node(consortium: Consortium) -> Member:
    """For clients, of the right CA, and bound to an empty node key."""
    tls = made.new_key()
    leaf = made.hospital_certificate(consortium.authority, "loose", tls.public_key(), b"", NOW)
    return consortium.kept("loose", leaf, tls, made.new_key())


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Consortium:
    return Consortium(tmp_path_factory.mktemp("coordinator"))


@pytest.fixture(scope="module", params=["python", "nginx"])
def place(request: pytest.FixtureRequest, consortium: Consortium) -> Iterator[Place]:
    if request.param == "nginx" and shutil.which("nginx") is None:
        pytest.skip("needs Debian's nginx")
    three = [consortium.member(name) for name in ("alpha", "Klinik Süd & Co., (B)", "gamma")]
    for member in three:
        consortium.register(member)
    who = people(consortium, *three)
    consortium.write_front()
    with recorder() as behind, front(request.param, consortium, behind, PATIENCE_S) as port:
        yield Place(request.param, port, behind, consortium, who, *three)


@contextmanager
def front(kind: str, consortium: Consortium, behind: Recorder, patience_s: float) -> Iterator[int]:
    settings = FrontSettings(
        listen="127.0.0.1",
        port=free_port() if kind == "nginx" else 0,
        link=f"http://127.0.0.1:{behind.port}",
        body_bytes=BODY_BYTES,
        head_s=patience_s,
        body_s=patience_s,
        connections_each=4,
    )
    with (nginx_front if kind == "nginx" else python_front)(consortium.folder, settings) as port:
        yield port


@pytest.fixture(scope="module")
def hurried(place: Place) -> Iterator[Place]:
    """The same with little patience."""
    with front(place.kind, place.consortium, place.behind, HURRY_S) as port:
        yield replace(place, port=port)


def open_connection(place: Place, who: str = "alpha") -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", place.port), GIVE_UP_S)
    return place.who[who].wrap_socket(plain, server_hostname="localhost")


@pytest.mark.parametrize("path", sorted(PATHS))
def test_a_hospitals_own_request_passes_on_each_of_the_nine_paths(place: Place, path: str) -> None:
    body = PushMessagesRequest().SerializeToString() if path.endswith("push-messages") else b"asked"
    answer = exchange(place.port, place.who["alpha"], post(path, place.alpha.header, body))
    assert status_of(answer) == 200
    assert answer.endswith(b"\r\n\r\nanswer")
    seen = place.behind.seen[-1]
    assert (seen[0], seen[2]) == (path, body)


def test_a_name_in_any_script_passes(place: Place) -> None:
    assert place.ask(post(header=place.beta.header), "beta") == 200


def test_a_piece_of_an_array_passes_whole(place: Place) -> None:
    body = bytes(range(256)) * (BODY_BYTES // 256)
    assert place.ask(post("/v1/fleet/push-object", place.alpha.header, body)) == 200
    assert place.behind.seen[-1][2] == body


def test_only_what_flower_needs_is_passed_on(place: Place) -> None:
    more = "cookie: a=b\r\nx-forwarded-for: 1.2.3.4\r\nuser-agent: x\r\nflwr-superexec-signature: x\r\n"
    more += "flwr-timestamp: now\r\nflwr-signature: c2ln\r\naccept-encoding: gzip\r\nx-flwr-token: y\r\n"
    assert place.ask(post(header=place.alpha.header, more=more)) == 200
    sent = place.behind.seen[-1][1]
    assert sent["flwr-public-key"] == place.alpha.header
    assert (sent["flwr-timestamp"], sent["flwr-signature"]) == ("now", "c2ln")
    flower = {"flwr-public-key", "flwr-timestamp", "flwr-signature", "content-type", "content-length", "host"}
    assert sent.keys() <= flower | {"connection"}


def test_an_answer_tells_no_versions_and_sets_nothing(place: Place) -> None:
    for data in (post(header=place.alpha.header), post("/docs", place.alpha.header)):
        head = exchange(place.port, place.who["alpha"], data).partition(b"\r\n\r\n")[0].lower()
        assert b"\r\ndate: " in head
        for word in (b"python", b"uvicorn", b"basehttp", b"/1.2", b"set-cookie"):
            assert word not in head


def test_a_connection_serves_one_request_after_another(place: Place) -> None:
    with open_connection(place) as tls:
        for _ in range(3):
            tls.sendall(post(header=place.alpha.header, body=b"asked"))
            answer = b""
            while not answer.endswith(b"answer"):
                piece = tls.recv(4096)
                assert piece
                answer += piece


OUTSIDERS = [
    "anonymous",
    "expired",
    "not yet valid",
    "revoked",
    "of another CA",
    "self-signed",
    "a server",
    "TLS 1.2",
]


@pytest.mark.parametrize("who", OUTSIDERS)
def test_whoever_has_no_valid_certificate_of_a_hospital_is_refused(place: Place, who: str) -> None:
    place.demand_refused(post(header=place.alpha.header), who)


@pytest.mark.parametrize("path", OTHER_PATHS)
def test_no_other_path_and_no_other_spelling_of_one_passes(place: Place, path: str) -> None:
    place.demand_refused(post(path, place.alpha.header))


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "post", "POSt"]
)
def test_no_other_method_passes(place: Place, method: str) -> None:
    place.demand_refused(post(header=place.alpha.header, line=f"{method} {PULL} HTTP/1.1"))


@pytest.mark.parametrize("line", LINES)
def test_no_other_request_line_passes(place: Place, line: str) -> None:
    place.demand_refused(post(header=place.alpha.header, line=line))


@pytest.mark.parametrize("more", SMUGGLED.values(), ids=SMUGGLED)
def test_what_two_programs_could_read_differently_is_refused(place: Place, more: str) -> None:
    if place.kind == "nginx" and more.startswith("Transfer-Encoding :"):
        pytest.skip("nginx drops a header of that name, and reads and passes on the length alone")
    place.demand_refused(post(header=place.alpha.header, more=more))


@pytest.mark.parametrize("length", LENGTHS)
def test_a_length_is_digits(place: Place, length: str) -> None:
    data = post(header=place.alpha.header).replace(b"content-length: 0", f"content-length: {length}".encode())
    place.demand_refused(data)


def test_a_second_request_hidden_in_the_first_does_not_pass(place: Place) -> None:
    inner = post("/v1/control/list-runs", place.alpha.header)
    before = len(place.behind.seen)
    place.ask(post(header=place.alpha.header, body=b"asked") + inner)
    assert [path for path, _, _ in place.behind.seen[before:]] in ([], [PULL])


def test_chunks_do_not_pass(place: Place) -> None:
    data = post(header=place.alpha.header).replace(b"content-length: 0", b"transfer-encoding: chunked")
    place.demand_refused(data + b"5\r\nasked\r\n0\r\n\r\n")


def test_a_request_without_a_length_does_not_pass(place: Place) -> None:
    place.demand_refused(post(header=place.alpha.header).replace(b"content-length: 0\r\n", b""))


def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(place: Place) -> None:
    data = post(header=place.alpha.header).replace(b"content-length: 0", b"content-length: %d" % (BODY_BYTES + 1))
    assert place.ask(data) == 413


def test_a_body_that_is_too_large_does_not_pass(place: Place) -> None:
    place.demand_refused(post(header=place.alpha.header, body=bytes(BODY_BYTES + 1)))


@pytest.mark.parametrize("header", ["x: " + "y" * 20000, "\r\n".join(f"x{n}: {'y' * 900}" for n in range(40))])
def test_a_head_that_is_too_large_does_not_pass(place: Place, header: str) -> None:
    place.demand_refused(post(header=place.alpha.header, more=f"{header}\r\n"))


def test_ones_certificate_with_anothers_key_does_not_pass(place: Place) -> None:
    place.demand_refused(post(header=place.beta.header), "alpha")
    place.demand_refused(post(header=place.alpha.header), "beta")


@pytest.mark.parametrize("header", [None, "", "AAAA", "=", "not base64!", "QUFB QUFB"])
def test_a_certificate_without_its_key_does_not_pass(place: Place, header: str | None) -> None:
    place.demand_refused(post(header=header))


def test_a_certificate_that_is_bound_to_nothing_does_not_pass(place: Place) -> None:
    place.demand_refused(post(header=""), "without a node")
    place.demand_refused(post(header=place.alpha.header), "without a node")


def test_two_keys_do_not_pass(place: Place) -> None:
    before = len(place.behind.seen)
    two = (place.alpha.header, place.beta.header)
    for first, second in (two, two[::-1]):
        place.ask(post(header=first, more=f"flwr-public-key: {second}\r\n"))
    seen = [headers["flwr-public-key"] for _, headers, _ in place.behind.seen[before:]]
    assert seen == ([] if place.kind == "python" else [place.alpha.header])


def pushed(node: int, sender: int) -> bytes:
    request = PushMessagesRequest()
    request.node.node_id = node
    request.messages_list.add().metadata.src_node_id = sender
    return request.SerializeToString()


def test_a_reply_in_anothers_name_does_not_pass(place: Place) -> None:
    if place.kind == "nginx":
        pytest.skip("nginx cannot look into a body, as its configuration says")
    path = "/v1/fleet/push-messages"
    assert place.ask(post(path, place.alpha.header, pushed(7, 7))) == 200
    place.demand_refused(post(path, place.alpha.header, pushed(7, 8)))
    place.demand_refused(post(path, place.alpha.header, pushed(7, 7) + pushed(7, 8)))
    place.demand_refused(post(path, place.alpha.header, b"\xff no message"))


def last_words(tls: ssl.SSLSocket) -> int:
    """What is said before the connection is closed."""
    try:
        return status_of(tls.recv(100))
    except OSError:
        return 0


def test_whoever_sends_a_head_too_slowly_is_cut_off(hurried: Place) -> None:
    """A byte now and then would keep a connection for ever where each byte began a new wait."""
    data = post(header=hurried.alpha.header)
    with open_connection(hurried) as tls:
        tls.settimeout(HURRY_S / 4)
        for at in range(len(data)):
            try:
                tls.sendall(data[at : at + 1])
                said = status_of(tls.recv(100))
            except TimeoutError:
                continue
            except OSError:
                said = 0
            break
    assert said in (0, 408)
    assert at < 100


def test_whoever_sends_no_body_is_cut_off(hurried: Place) -> None:
    before = len(hurried.behind.seen)
    with open_connection(hurried) as tls:
        tls.sendall(post(header=hurried.alpha.header, body=b"asked")[:-3])
        assert last_words(tls) in (0, 408)
    assert hurried.behind.seen[before:] == []


def test_a_hospital_may_have_only_so_many_connections(place: Place) -> None:
    whole = post(header=place.gamma.header, body=b"asked")
    with ExitStack() as kept:
        many = [kept.enter_context(open_connection(place, "gamma")) for _ in range(8)]
        for tls in many:
            with suppress(OSError):
                tls.sendall(whole[:-1])
        assert place.ask(post(header=place.beta.header), "beta") == 200
        for tls in many:
            with suppress(OSError):
                tls.sendall(whole[-1:])
        assert sorted(last_words(tls) for tls in many) == [200] * 4 + [503] * 4


def test_whoever_says_nothing_keeps_nobody_out(place: Place) -> None:
    with ExitStack() as kept:
        for _ in range(8):
            kept.enter_context(socket.create_connection(("127.0.0.1", place.port), GIVE_UP_S))
        assert place.ask(post(header=place.alpha.header)) == 200


def test_plain_http_does_not_pass(place: Place) -> None:
    before = len(place.behind.seen)
    with socket.create_connection(("127.0.0.1", place.port), GIVE_UP_S) as plain:
        plain.sendall(post(header=place.alpha.header))
        try:
            answer = plain.recv(100)
        except OSError:
            answer = b""
    assert status_of(answer) in (0, 400)
    assert place.behind.seen[before:] == []


def test_the_good_request_still_passes_after_all_that(place: Place) -> None:
    assert place.ask(post(header=place.alpha.header)) == 200
    assert place.ask(post(header=place.beta.header), "beta") == 200
