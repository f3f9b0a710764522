"""The bytes of a request's head, judged before a parser has made anything of them.

Two programs that read one request differently are how requests are smuggled past the first of them. So nothing here
is lenient: one spelling of the request line, CRLF alone, no header twice, a length in digits, no transfer coding.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from server.front.rules import MOST_HEADERS, PATHS, PUBLIC_KEY, bound_name

END = b"\r\n\r\n"
_REQUEST_LINE = re.compile(rb"([!-~]{1,32}) ([!-~]{1,4096}) HTTP/1\.([01])")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}):[ \t]*([\t -~]*?)[ \t]*")
_DIGITS = re.compile(rb"[0-9]{1,12}")
_TARGETS = {path.encode(): path for path in PATHS}


@dataclass(frozen=True)
class Refused:
    """status: what is answered. why: for the log of the coordinator, never sent."""

    status: int
    why: str
    path: str = ""


@dataclass(frozen=True)
class Head:
    """A request that may pass, as far as its head says. headers: by lower-case name, each once."""

    path: str
    body_bytes: int
    headers: dict[str, bytes]


def judge(head: bytes, names: frozenset[str], most_body_bytes: int) -> Head | Refused:
    """Judge a head up to its blank line, without it. names: URIs in the certificate of whoever sent it."""
    first, *lines = head.split(b"\r\n")
    target = _target(first)
    if isinstance(target, Refused):
        return target
    headers = _headers(lines)
    if isinstance(headers, str):
        return Refused(400, headers, target)
    return _framing(target, headers, most_body_bytes) or _binding(target, headers, names) or _of(target, headers)


def _target(line: bytes) -> str | Refused:
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        return Refused(400, "no request line")
    method, target, minor = found.groups()
    shown = target[:100].decode("ascii")
    path = _TARGETS.get(target)
    if path is None:
        return Refused(404, "not one of the nine paths", shown)
    if method != b"POST":
        return Refused(405, "not POST", path)
    if minor != b"1":
        return Refused(400, "not HTTP/1.1", path)
    return path


def _headers(lines: list[bytes]) -> dict[str, bytes] | str:
    """By lower-case name, or what is wrong."""
    headers: dict[str, bytes] = {}
    if len(lines) > MOST_HEADERS:
        return f"more than {MOST_HEADERS} headers"
    for line in lines:
        if (found := _HEADER.fullmatch(line)) is None:
            return "a header line that is none"
        name = found[1].decode("ascii").lower()
        if name in headers:
            return f"{name} twice"
        headers[name] = found[2]
    return headers


def _framing(path: str, headers: dict[str, bytes], most_body_bytes: int) -> Refused | None:
    if "host" not in headers:
        return Refused(400, "no host", path)
    for name in ("transfer-encoding", "upgrade", "expect", "content-encoding", "trailer", "http2-settings"):
        if name in headers:
            return Refused(411 if name == "transfer-encoding" else 400, f"{name} is not taken", path)
    if headers.get("connection", b"keep-alive").lower() not in (b"keep-alive", b"close"):
        return Refused(400, "connection asks for more than keep-alive or close", path)
    length = headers.get("content-length")
    if length is None:
        return Refused(411, "no content-length", path)
    if not _DIGITS.fullmatch(length):
        return Refused(400, "content-length is no number", path)
    if int(length) > most_body_bytes:
        return Refused(413, f"a body of {int(length)} bytes; at most {most_body_bytes} are taken", path)
    return None


def _binding(path: str, headers: dict[str, bytes], names: frozenset[str]) -> Refused | None:
    key = headers.get(PUBLIC_KEY)
    if key is None:
        return Refused(403, "no node key", path)
    if bound_name(key) not in names:
        return Refused(403, "the node key is not the one that the certificate is bound to", path)
    return None


def _of(path: str, headers: dict[str, bytes]) -> Head:
    return Head(path, int(headers["content-length"]), headers)
