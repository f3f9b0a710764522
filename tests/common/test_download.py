"""Against a real server on loopback that can be told to misbehave."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from common.data.download import CHUNK_BYTES, TRIES, Digest, Remote, download
from common.errors import DownloadError

CONTENT = bytes(range(256)) * 2000
SHORT_S = 0.2


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between two tries; a timeout short enough for that would also end an answer of a busy machine."""
    monkeypatch.setattr("common.data.download.sleep", lambda seconds: None)


@dataclass
class Behaviour:
    """What the server does. cut_after: bytes sent before the connection is cut, for the first `cuts` requests."""

    content: bytes = CONTENT
    ranges: bool = True
    cut_after: int = 0
    cuts: int = 0
    hang: bool = False
    status: int = 200
    location: str = ""
    requested: list[str] = field(default_factory=list)
    done: Event = field(default_factory=Event)


@pytest.fixture
def server() -> Iterator[tuple[str, Behaviour]]:
    behaviour = Behaviour()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            behaviour.requested.append(asked)
            if behaviour.hang:
                behaviour.done.wait(600)
                return
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and behaviour.ranges else 0
            body = behaviour.content[start:]
            self.send_response(behaviour.status if behaviour.status != 200 else (206 if start else 200))
            self.send_header("Content-Length", str(len(body)))
            if behaviour.location:
                self.send_header("Location", behaviour.location)
            if start:
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(behaviour.content) - 1}/{len(behaviour.content)}"
                )
            self.end_headers()
            if behaviour.cuts > 0:
                behaviour.cuts -= 1
                body = body[: behaviour.cut_after]
                self.close_connection = True
            self.wfile.write(body)

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}/file", behaviour
    behaviour.done.set()
    listening.shutdown()
    listening.server_close()
    thread.join()


def remote(url: str, content: bytes = CONTENT) -> Remote:
    return Remote(url, Digest("sha256", hashlib.sha256(content).hexdigest()), 1 << 20)


def test_a_file_is_fetched_and_watched(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = download(remote(server[0]), tmp_path / "a" / "file", lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_a_cut_connection_is_resumed_where_it_ended(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    server[1].cuts, server[1].cut_after = 2, 100_000
    assert download(remote(server[0]), tmp_path / "file").read_bytes() == CONTENT
    assert server[1].requested == ["", f"bytes={CHUNK_BYTES}-", f"bytes={2 * CHUNK_BYTES}-"]


def test_an_earlier_part_is_gone_on_with(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT[:1234])
    assert download(remote(server[0]), tmp_path / "file").read_bytes() == CONTENT
    assert server[1].requested == ["bytes=1234-"]


def test_a_server_without_ranges_is_asked_for_all(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    server[1].ranges = False
    (tmp_path / "file.part").write_bytes(b"x" * 50)
    assert download(remote(server[0]), tmp_path / "file").read_bytes() == CONTENT


def test_another_file_is_refused_and_nothing_of_it_kept(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    server[1].content = CONTENT[:-1] + b"!"
    with pytest.raises(DownloadError, match="is not the pinned file: its sha256"):
        download(remote(server[0]), tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_a_file_larger_than_it_may_be_is_refused(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="larger than 1000 bytes"):
        download(Remote(server[0], remote(server[0]).digest, 1000), tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_another_file_is_thrown_away_and_all_fetched(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(b"x" * 1234)
    assert download(remote(server[0]), tmp_path / "file").read_bytes() == CONTENT
    assert server[1].requested == ["bytes=1234-", ""]


@pytest.mark.usefixtures("impatient")
def test_a_server_that_gives_crumbs_is_given_up(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    server[1].cuts, server[1].cut_after = 1000, 1
    with pytest.raises(DownloadError, match="could not be fetched: RemoteProtocolError"):
        download(remote(server[0]), tmp_path / "file")
    assert len(server[1].requested) == TRIES


@pytest.mark.usefixtures("impatient")
def test_a_server_that_sends_in_circles_is_given_up(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    server[1].status, server[1].location = 302, server[0]
    with pytest.raises(DownloadError, match="could not be fetched: TooManyRedirects"):
        download(remote(server[0]), tmp_path / "file")


def test_a_place_that_cannot_be_written_is_named(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    (tmp_path / "folder").write_bytes(b"a file")
    with pytest.raises(DownloadError, match=r"folder.file could not be written"):
        download(remote(server[0]), tmp_path / "folder" / "file")


@pytest.mark.usefixtures("impatient")
def test_an_address_where_nobody_answers_is_named(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:9/file could not be fetched: ConnectError"):
        download(remote("http://127.0.0.1:9/file"), tmp_path / "file")


def test_a_status_is_named(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    server[1].status = 404
    with pytest.raises(DownloadError, match="status 404"):
        download(remote(server[0]), tmp_path / "file")


def test_a_server_that_hangs_is_given_up(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    server[1].hang = True
    with pytest.raises(DownloadError, match="could not be fetched: ReadTimeout"):
        download(remote(server[0]), tmp_path / "file", timeout_s=SHORT_S)


def test_a_file_that_is_there_is_not_fetched_again(server: tuple[str, Behaviour], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    download(remote(server[0]), tmp_path / "file")
    assert server[1].requested == []
