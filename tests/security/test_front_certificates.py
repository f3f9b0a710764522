"""What changes while the front runs: revocations, lists that run out, new certificates, a front that is killed."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from common.errors import FileError, StudyError
from common.files.access import remove, write
from server.front.forwarding import _pass_on
from server.front.serving import FrontServer
from server.front.settings import CERTIFICATE, KEY, REVOKED, FrontSettings, read_front
from server.front.tls import context_of
from tests.security.fronts import (
    GIVE_UP_S,
    NOW,
    Consortium,
    Recorder,
    context_for,
    exchange,
    free_port,
    post,
    python_front,
    recorder,
    status_of,
)


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    made = Consortium(tmp_path)
    made.write_front()
    return made


@pytest.fixture
def behind() -> Iterator[Recorder]:
    with recorder() as kept:
        yield kept


def settings_for(behind: Recorder) -> FrontSettings:
    return FrontSettings(listen="127.0.0.1", port=0, link=f"http://127.0.0.1:{behind.port}")


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + GIVE_UP_S
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_a_revocation_holds_without_a_restart_and_cuts_what_is_open(consortium: Consortium, behind: Recorder) -> None:
    alpha, beta = consortium.member("alpha"), consortium.member("beta")
    contexts = [context_for(consortium.authority, one) for one in (alpha, beta)]
    with python_front(consortium.folder, settings_for(behind)) as port:
        plain = socket.create_connection(("127.0.0.1", port), GIVE_UP_S)
        with contexts[0].wrap_socket(plain, server_hostname="localhost") as kept:
            kept.sendall(post(header=alpha.header))
            assert status_of(kept.recv(4096)) == 200
            consortium.revoke(alpha)
            consortium.write_list()
            with suppress(OSError):
                while kept.recv(4096):
                    pass
        assert exchange(port, contexts[0], post(header=alpha.header)) == b""
        assert status_of(exchange(port, contexts[1], post(header=beta.header))) == 200


def test_a_list_that_ran_out_refuses_everybody_and_says_so(
    consortium: Consortium, behind: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    alpha = consortium.member("alpha")
    context = context_for(consortium.authority, alpha)
    consortium.write_list(at=NOW - timedelta(days=30), days=20)
    with caplog.at_level(logging.INFO), python_front(consortium.folder, settings_for(behind)) as port:
        assert exchange(port, context, post(header=alpha.header)) == b""
        assert "EVERY hospital is refused" in caplog.text
        until(lambda: "CRL has expired" in caplog.text)
        consortium.write_list()
        until(lambda: status_of(exchange(port, context, post(header=alpha.header))) == 200)
    assert behind.seen


def test_a_list_that_will_run_out_is_spoken_of_before(
    consortium: Consortium, caplog: pytest.LogCaptureFixture
) -> None:
    consortium.write_list(days=5)
    with caplog.at_level(logging.WARNING):
        FrontServer(consortium.folder, FrontSettings(link="http://127.0.0.1:1"))
    assert "front/crl.pem runs out on" in caplog.text


def test_a_certificate_whose_key_is_not_there_yet_leaves_the_old_one_in_use(
    consortium: Consortium, behind: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    alpha = consortium.member("alpha")
    context = context_for(consortium.authority, alpha)
    before = (consortium.folder / KEY).read_bytes()
    with caplog.at_level(logging.INFO), python_front(consortium.folder, settings_for(behind)) as port:
        consortium.write_front()
        new = (consortium.folder / KEY).read_bytes()
        write(consortium.folder, KEY, before)
        until(lambda: "new certificates are not used" in caplog.text)
        assert status_of(exchange(port, context, post(header=alpha.header))) == 200
        write(consortium.folder, KEY, new)
        until(lambda: '"event": "certificates"' in caplog.text)
        assert status_of(exchange(port, context, post(header=alpha.header))) == 200


@pytest.mark.parametrize("name", [CERTIFICATE, KEY, REVOKED])
def test_a_front_without_one_of_its_files_does_not_begin(consortium: Consortium, name: str) -> None:
    remove(consortium.folder, name)
    with pytest.raises(FileError, match=name.replace(".", r"\.")):
        context_of(consortium.folder)
    write(consortium.folder, name, "no PEM")
    with pytest.raises(FileError):
        context_of(consortium.folder)


def test_the_log_says_who_and_what_and_never_a_body(
    consortium: Consortium, behind: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    alpha = consortium.member("alpha")
    context = context_for(consortium.authority, alpha)
    with caplog.at_level(logging.INFO), python_front(consortium.folder, settings_for(behind)) as port:
        exchange(port, context, post(header=alpha.header, body=b"SECRET-BODY"))
        exchange(port, context, post("/docs\x1b[31m", alpha.header, b"SECRET-BODY"))
        exchange(port, context, post("/docs", alpha.header, b"SECRET-BODY"))
        until(lambda: caplog.text.count("/docs") >= 1)
    assert "SECRET" not in caplog.text
    assert "\x1b" not in caplog.text
    lines = [json.loads(one.message) for one in caplog.records if one.message.startswith("{")]
    (line,) = (one for one in lines if one["event"] == "request")
    assert (line["hospital"], line["status"], line["received_bytes"], line["sent_bytes"]) == ("alpha", 200, 11, 6)


def test_an_answer_is_over_with_its_last_byte() -> None:
    """Else a hospital that asks again at once is taken for one that does not wait for its answer."""
    events: list[dict[str, Any]] = []

    async def send(event: dict[str, Any]) -> None:
        events.append(event)

    async def pieces(*content: bytes) -> AsyncIterator[bytes]:
        for piece in content:
            yield piece
            assert all(event["more_body"] for event in events[1:])

    async def passed(content: Any) -> int:
        return await _pass_on(httpx.Response(200, headers={"content-length": "11"}, content=content), send)

    assert asyncio.run(passed(pieces(b"one", b"two", b"three"))) == 11
    assert [event.get("body") for event in events] == [None, b"one", b"two", b"three"]
    events.clear()
    assert asyncio.run(passed(pieces())) == 0
    assert [event["type"] for event in events] == ["http.response.start", "http.response.body"]


def test_a_hospital_may_ask_again_at_once(consortium: Consortium, behind: Recorder) -> None:
    alpha = consortium.member("alpha")
    context = context_for(consortium.authority, alpha)
    with (
        python_front(consortium.folder, settings_for(behind)) as port,
        socket.create_connection(("127.0.0.1", port), GIVE_UP_S) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        for _ in range(200):
            tls.sendall(post(header=alpha.header))
            answer = b""
            while not answer.endswith(b"answer"):
                piece = tls.recv(4096)
                assert piece
                answer += piece


def test_a_superlink_that_is_not_there_is_a_bad_gateway(consortium: Consortium) -> None:
    alpha = consortium.member("alpha")
    settings = FrontSettings(listen="127.0.0.1", port=0, link=f"http://127.0.0.1:{free_port()}")
    with python_front(consortium.folder, settings) as port:
        answer = exchange(port, context_for(consortium.authority, alpha), post(header=alpha.header))
    assert status_of(answer) == 502


def test_all_requests_together_hold_only_so_much(consortium: Consortium, behind: Recorder) -> None:
    alpha = consortium.member("alpha")
    context = context_for(consortium.authority, alpha)
    settings = FrontSettings(listen="127.0.0.1", port=0, link=f"http://127.0.0.1:{behind.port}", memory_bytes=1000)
    with python_front(consortium.folder, settings) as port:
        statuses = [
            status_of(exchange(port, context, post(header=alpha.header, body=bytes(n)))) for n in (900, 1001, 900)
        ]
    assert statuses == [200, 503, 200]


def test_a_front_that_is_killed_and_started_again_has_lost_nothing(
    consortium: Consortium, behind: Recorder, start_process: Callable[..., subprocess.Popen[Any]]
) -> None:
    alpha = consortium.member("alpha")
    context = context_for(consortium.authority, alpha)
    port = str(free_port())
    command = [sys.executable, "-m", "experiments.cli", "server", "front", "--folder", str(consortium.folder)]
    command += ["--port", port, "--link", f"http://127.0.0.1:{behind.port}"]
    for end in (signal.SIGKILL, signal.SIGTERM):
        process = start_process(command, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])})
        until(lambda: status_of(exchange(int(port), context, post(header=alpha.header))) == 200)
        assert json.loads((consortium.folder / "front/listening.json").read_text())["pid"] == process.pid
        process.send_signal(end)
        process.wait(GIVE_UP_S)
    assert len(behind.seen) == 2


@pytest.mark.parametrize("link", ["http://127.0.0.1.evil.example:1", "http://127.0.0.1:1@evil.example", "http://h:1"])
def test_a_link_that_is_not_on_this_machine_is_refused(tmp_path: Path, link: str) -> None:
    write(tmp_path, "server.toml", f'[front]\nlink = "{link}"\n')
    with pytest.raises(StudyError, match="must be on this machine"):
        read_front(tmp_path)


def test_no_limit_can_be_put_off(tmp_path: Path) -> None:
    write(tmp_path, "server.toml", "[front]\nlink = 'http://127.0.0.1:1'\nhead_s = 0\n")
    with pytest.raises(StudyError, match="head_s must be positive"):
        read_front(tmp_path)


def test_an_answer_that_breaks_off_is_no_whole_answer(consortium: Consortium) -> None:
    alpha = consortium.member("alpha")
    context = context_for(consortium.authority, alpha)
    with socket.create_server(("127.0.0.1", 0)) as link:

        def half() -> None:
            for _ in range(2):
                taken, _address = link.accept()
                with taken:
                    taken.recv(4096)
                    taken.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")

        thread = threading.Thread(target=half)
        thread.start()
        settings = FrontSettings(listen="127.0.0.1", port=0, link=f"http://127.0.0.1:{link.getsockname()[1]}")
        with python_front(consortium.folder, settings) as port:
            answers = [exchange(port, context, post(header=alpha.header)) for _ in range(2)]
        thread.join()
    assert [status_of(answer) for answer in answers] == [500, 500]
