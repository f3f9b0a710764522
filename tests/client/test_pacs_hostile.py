"""Services that are no PACS, or mean harm: refused in a clear line, within bounds of time, memory and disk."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from client.sources import _pacs_http
from client.sources._pacs_multipart import Parts, boundary_of
from client.sources._pacs_query import Query, all_said, takes_series
from client.sources.dicomweb import DicomWeb
from common.errors import SourceError
from tests.client.dicom_files import slices, uid, values
from tests.client.orthanc import write_settings

TAGS = ["0020000D", "00100020", "00201209", "00080060", "0008103E", "Value", "Alphabetic", "vr"]
STUDY, SERIES, IMAGE = "1.2.3", "1.2.3.4", "1.2.3.4.5"
Told = Callable[[str], Iterator[bytes]]


class Server(ThreadingTCPServer):
    """Says to each path whatever a test has it say, byte for byte."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, told: Told) -> None:
        self.told, self.asked, self.heads = told, [], []  # type: ignore[var-annotated]
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/dicom-web"


class Handler(StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        lines = []
        while (line := self.rfile.readline().strip()) != b"":
            lines.append(line.decode())
        if lines:
            path = lines[0].split()[1]
            self.server.asked.append(path)
            self.server.heads.append("\n".join(lines))
            with suppress(OSError):
                for piece in self.server.told(path.removeprefix("/dicom-web/")):
                    self.wfile.write(piece)


@contextmanager
def serving(told: Told, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    with Server(told) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
            server.handle_error = lambda *_: None  # type: ignore[method-assign]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def answer(content: bytes, kind: str = "application/dicom+json", **headers: Any) -> bytes:
    head = {"Content_Type": kind, "Content_Length": len(content), "Connection": "close", **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in head.items() if value is not None]
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode() + content


def row(**tags: Any) -> dict[str, Any]:
    from pydicom.datadict import tag_for_keyword

    return {f"{tag_for_keyword(name):08X}": {"vr": "UI", "Value": [value]} for name, value in tags.items()}


def rows(*found: dict[str, Any]) -> bytes:
    return answer(json.dumps(found).encode())


def listing(path: str, study: str = STUDY, series: str = SERIES, image: str = IMAGE) -> bytes | None:
    """A PACS with one image; None for what is no query."""
    place = path.partition("?")[0]
    if place == "studies":
        return rows(row(StudyInstanceUID=study, PatientID="P1"))
    if place.endswith("/series"):
        return rows(row(StudyInstanceUID=study, SeriesInstanceUID=series, Modality="CT"))
    if place.endswith("/instances"):
        return rows(row(SOPInstanceUID=image))
    return None


def giving(told: Callable[[str], Iterator[bytes]]) -> Told:
    """Queries answered as by a PACS with one image, images as the test says."""

    def both(path: str) -> Iterator[bytes]:
        found = listing(path)
        yield from ([found] if found is not None else told(path))

    return both


def part(content: bytes, boundary: str = "X") -> bytes:
    return f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + content + b"\r\n"


MULTIPART = 'multipart/related; type="application/dicom"; boundary=X'


def endless_json(_: str) -> Iterator[bytes]:
    yield answer(b"[", Content_Length=None)
    while True:
        yield b'{"00100020":{"vr":"LO","Value":["P"]}},' * 1000


def endless_header(_: str) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"X-More: 1\r\n"
        time.sleep(0.02)


def endless_part(_: str) -> Iterator[bytes]:
    yield answer(b"", MULTIPART, Content_Length=None)
    yield part(b"\0" * 128 + b"DICM")
    while True:
        yield b"\0" * (1 << 16)


def endless_parts(_: str) -> Iterator[bytes]:
    yield answer(b"", MULTIPART, Content_Length=None)
    while True:
        yield part(b"")


def slow_part(_: str) -> Iterator[bytes]:
    yield answer(b"", MULTIPART, Content_Length=None)
    while True:
        yield b"-"
        time.sleep(0.02)


def once(content: bytes) -> Told:
    return lambda _: iter([content])


QUERIES: dict[str, tuple[Told, str]] = {
    "JSON without an end": (endless_json, "more than 8388608 bytes"),
    "headers without an end": (endless_header, "took longer than|cannot be reached"),
    "a deep JSON": (once(answer(b"[" * 100_000)), "no JSON"),
    "a long number": (once(answer(b"[" + b"9" * 100_000 + b"]")), "no JSON|no list"),
    "no list": (once(answer(b'{"a": 1}')), "no list of data sets"),
    "a list of others": (once(answer(b"[1, 2]")), "no list of data sets"),
    "a page": (once(answer(b"<html>", "text/html")), "no JSON"),
    "a packed bomb": (
        once(answer(gzip.compress(b"[" + b" " * (1 << 24) + b"]", 1), Content_Encoding="gzip")),
        "more than 8388608 bytes",
    ),
    "another packing": (once(answer(b"[]", Content_Encoding="br")), "not asked for"),
    "a huge Content-Length": (once(answer(b"[]", Content_Length=1 << 50)), "cannot be reached"),
    "no HTTP": (once(b"220 mail.example.org ESMTP\r\n" * 3), "cannot be reached"),
    "nothing": (once(b""), "cannot be reached"),
    "the same page for ever": (
        lambda _: iter([rows(*(row(StudyInstanceUID=f"1.2.{index}") for index in range(3)))]),
        "whatever page",
    ),
    "busy for ever": (once(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"), "busy"),
}


def source(url: str, folder: Path, **settings: Any) -> DicomWeb:
    plain = {"answer_s": 300.0, "series_s": 300.0, "retries": 0, "page": 3, "most_gb": 0.001}
    return DicomWeb(str(write_settings(folder / "hospital", url, **{**plain, **settings})))


@pytest.mark.parametrize("what", QUERIES)
def test_a_service_that_answers_queries_with_harm_is_refused(what: str, tmp_path: Path) -> None:
    told, reason = QUERIES[what]
    limits = {"answer_s": 1.0} if told is endless_header else {}
    with serving(told) as server, pytest.raises(SourceError, match=reason):
        source(server.url, tmp_path, **limits).cases(None, 0)


def instance(**tags: Any) -> bytes:
    import io

    one = slices(values((1, 3, 3)))[0]
    one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID = STUDY, SERIES, IMAGE
    one.file_meta.MediaStorageSOPInstanceUID = IMAGE
    for name, value in tags.items():
        setattr(one, name, value)
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    content = io.BytesIO()
    one.save_as(content, enforce_file_format=True)
    return content.getvalue()


def parts_of(*contents: bytes) -> Told:
    return once(answer(b"".join(map(part, contents)) + b"--X--", MULTIPART))


IMAGES: dict[str, tuple[Told, str]] = {
    "a part without an end": (endless_part, "more than 0.001 GB"),
    "parts without an end": (endless_parts, "not a readable DICOM file"),
    "slow parts": (slow_part, "took longer than 1 s"),
    "no boundary": (once(answer(b"x", "multipart/related")), "what stands between them"),
    "a long boundary": (once(answer(b"x", f"multipart/related; boundary={'x' * 71}")), "what stands between them"),
    "no parts": (once(answer(b"[]", "application/json")), "several DICOM parts"),
    "another boundary": (once(answer(b"--Y\r\n\r\n" * 9000 + b"--Y--", MULTIPART)), "has no part"),
    "a long head": (once(answer(b"--X\r\n" + b"A: b\r\n" * 9000, MULTIPART)), "a head of more than"),
    "cut off": (once(answer(part(instance())[:-300], MULTIPART)), "ends in the middle"),
    "no DICOM": (parts_of(b"hello"), "not a readable DICOM file"),
    "another series": (parts_of(instance(SeriesInstanceUID="1.9")), "another series"),
    "another patient": (parts_of(instance(PatientID="P7")), "another patient"),
    "an image that is a path": (parts_of(instance().replace(IMAGE.encode(), b"../../../")), "not asked for"),
    "twice the same": (parts_of(instance(), instance()), "came twice"),
    "none of them": (parts_of(), "does not give its image"),
    "gone": (once(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"), "HTTP 404"),
}


@pytest.mark.parametrize("what", IMAGES)
def test_a_service_that_gives_harm_for_images_loses_this_series_alone(what: str, tmp_path: Path) -> None:
    told, reason = IMAGES[what]
    limits = {"series_s": 1.0} if told is slow_part else {}
    with serving(giving(told)) as server, pytest.raises(SourceError, match=reason):
        source(server.url, tmp_path, **limits).cases(None, 0)
    kept = [one for one in tmp_path.rglob("*") if one.is_file()]
    assert {one.name for one in kept} <= {
        "pacs.toml", "password", ".held.json", ".found.json", ".lock", f"{IMAGE}.dcm"
    }  # fmt: skip
    assert sum(one.stat().st_size for one in kept) < 1 << 20


@pytest.mark.parametrize("bad", ["../../../etc/passwd", "1.2/3", "", "1.2.3;a=b", "1" * 65, ".", "1.2.\n3"])
@pytest.mark.parametrize("level", ["study", "series", "image"])
def test_a_uid_that_is_a_path_is_neither_an_address_nor_a_file(level: str, bad: str, tmp_path: Path) -> None:
    def told(path: str) -> Iterator[bytes]:
        found = listing(path, **{level: bad})
        assert found is not None
        yield found

    with serving(told) as server, pytest.raises(SourceError, match=r"which is none|holds no usable"):
        source(server.url, tmp_path).cases(None, 0)
    assert not any("etc" in path or ";" in path or "%" in path for path in server.asked)


def test_no_redirect_is_followed_and_no_password_leaves(tmp_path: Path) -> None:
    with serving(once(rows())) as other:
        moved = f"HTTP/1.1 302 Found\r\nLocation: {other.url}/studies\r\nContent-Length: 0\r\n\r\n".encode()
        with serving(once(moved)) as server, pytest.raises(SourceError, match="never followed"):
            source(server.url, tmp_path).cases(None, 0)
    assert not other.asked and len(server.asked) == 1


def test_no_proxy_of_the_environment_is_used_unless_the_hospital_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(once(rows())) as proxy, serving(once(rows())) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/dicom-web"))
        with pytest.raises(SourceError, match="holds no usable volume"):
            source(server.url, tmp_path).cases(None, 0)
        assert not proxy.asked and server.asked
        with pytest.raises(SourceError, match="holds no usable volume"):
            source("http://127.0.0.1:9/dicom-web", tmp_path, proxy="environment").cases(None, 0)
        assert proxy.asked


def test_a_service_that_is_busy_at_first_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pacs_http, "FIRST_WAIT_S", 0.01)
    count = [0]

    def told(_: str) -> Iterator[bytes]:
        count[0] += 1
        yield b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n" if count[0] < 3 else rows()

    with serving(told) as server, pytest.raises(SourceError, match="holds no usable volume"):
        source(server.url, tmp_path, retries=3).cases(None, 0)
    assert count[0] == 3


def test_a_filter_that_the_service_overlooks_is_held_against_its_answer(tmp_path: Path) -> None:
    with serving(giving(parts_of(instance()))) as server:
        folder = write_settings(tmp_path / "hospital", server.url, retries=0)
        with pytest.raises(SourceError, match="holds no usable volume"):
            DicomWeb(str(folder), patients=("P2",)).cases(None, 0)
    assert not [path for path in server.asked if "series" in path]


@pytest.mark.parametrize("options", [{"study": "head*"}, {"filters": {"BodyPartExamined": "HEAD"}}])
def test_a_service_that_never_tells_what_is_asked_by_is_named(options: dict[str, Any], tmp_path: Path) -> None:
    with serving(giving(parts_of(instance()))) as server:
        folder = write_settings(tmp_path / "hospital", server.url, retries=0)
        with pytest.raises(SourceError, match="cannot be held"):
            DicomWeb(str(folder), **options).cases(None, 0)


def test_a_service_that_gives_an_image_bare_is_understood(tmp_path: Path) -> None:
    with serving(giving(once(answer(instance(), "application/dicom")))) as server:
        folder = write_settings(tmp_path / "hospital", server.url, retries=0)
        with pytest.raises(SourceError, match="holds no usable volume"):
            DicomWeb(str(folder)).cases(None, 0)
    assert len(list(tmp_path.rglob("*.dcm"))) == 1


def certified(folder: Path) -> ssl.SSLContext:
    """A server's side with a certificate of its own authority, written to ca.pem."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pacs")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context


def test_only_the_hospitals_own_authority_is_trusted_where_it_names_one(tmp_path: Path) -> None:
    (tmp_path / "hospital").mkdir()
    context = certified(tmp_path / "hospital")
    with serving(once(rows()), context) as server:
        url = f"https://localhost:{server.server_address[1]}/dicom-web"
        with pytest.raises(SourceError, match=r"authority = 'ca\.pem'"):
            source(url, tmp_path).cases(None, 0)
        with pytest.raises(SourceError, match="holds no usable volume"):
            source(url, tmp_path, authority="ca.pem").cases(None, 0)
        with pytest.raises(SourceError, match=r"cannot be reached|not trusted"):
            source(url.replace("localhost", "127.0.0.1"), tmp_path, authority="ca.pem").cases(None, 0)
    assert len(server.asked) == 1


def test_what_drips_in_through_tls_ends_in_time_too(tmp_path: Path) -> None:
    (tmp_path / "hospital").mkdir()
    with serving(endless_header, certified(tmp_path / "hospital")) as server:
        url = f"https://localhost:{server.server_address[1]}/dicom-web"
        with pytest.raises(SourceError, match="took longer than 2 s"):
            source(url, tmp_path, authority="ca.pem", answer_s=2.0).cases(None, 0)


def test_a_token_is_shown_and_comes_from_the_environment_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDROUND_PACS_TOKEN", "open sesame")
    with serving(once(rows())) as server, pytest.raises(SourceError, match="holds no usable volume"):
        source(server.url, tmp_path, user=None, password_file=None).cases(None, 0)
    assert "Authorization: Bearer open sesame" in server.heads[0]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_parts_come_out_whole_however_the_answer_is_cut(size: int) -> None:
    bodies = [b"", b"\r\n", b"--X", b"\r\n--", b"\r\n-X" * 5, bytes(range(256)), b"\r"]
    data = b"preamble\r\n" + b"".join(map(part, bodies)) + b"--X--\r\nepilogue"
    pieces = iter([data[at : at + size] for at in range(0, len(data), size)])
    assert [b"".join(one) for one in Parts(pieces, b"X")] == bodies


def test_a_boundary_may_be_quoted() -> None:
    assert boundary_of('multipart/related; type="application/dicom"; boundary="a b:c"') == b"a b:c"
    assert uid("x") == uid("x")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(TAGS), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(TAGS), JSON_VALUES, max_size=6))
def test_whatever_stands_in_an_answer_is_a_word_or_none(found: dict[str, Any]) -> None:
    for keyword in ("StudyInstanceUID", "PatientID", "NumberOfSeriesRelatedInstances"):
        assert all(isinstance(one, str) for one in all_said(found, keyword))
    assert takes_series(Query(modality="CT", series="*a*", filters=(("PatientID", "*"),)), found) in (True, False)


@given(st.data())
def test_a_damaged_answer_of_parts_ends_in_a_clear_error_or_in_parts(data: st.DataObject) -> None:
    content = bytearray(b"".join(map(part, (b"one", b"two" * 9, b""))) + b"--X--")
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    whole = bytes(content[: data.draw(st.integers(0, len(content)))])
    with suppress(SourceError):
        assert sum(len(b"".join(one)) for one in Parts(iter([whole]), b"X")) <= len(whole)
