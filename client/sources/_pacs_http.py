"""A DICOMweb service that is believed in nothing: answers are bounded in bytes and time, and none leads elsewhere.

dicomweb-client is not used here: it reads answers whole into memory, knows no bound of bytes, and follows redirects
with the user's password; httpx does none of this.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Any, TypeVar

import httpx

from client.sources._pacs_multipart import Parts, boundary_of
from client.sources._pacs_settings import ENVIRONMENT, FILE, PacsSettings, credentials, tls_context
from common.errors import SourceError

LARGEST_JSON_BYTES = 1 << 23
PIECE_BYTES = 1 << 16
CONNECT_S = 10.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
MAY_PASS = (408, 425, 429, 500, 502, 503, 504)
"""What a service answers that is busy or begins anew."""
JSON = "application/dicom+json"
ANY_SYNTAX = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""PS3.18 8.7.3.5.2: as it is stored; without it a service writes compressed pixels anew, or refuses."""
DEFAULT_SYNTAX = 'multipart/related; type="application/dicom"'
_ESCAPED = re.compile(r"[^A-Za-z0-9._~*?,-]")
Params = Sequence[tuple[str, str]]
T = TypeVar("T")


class PacsError(SourceError):
    """Nothing more of a PACS can be had: no other series would fare better."""


class UnreachableError(PacsError):
    """A PACS does not answer, or lets nobody in: nothing can be said of any of its images.

    may_pass: whether it makes sense to ask again.
    """

    def __init__(self, text: str, may_pass: bool = False) -> None:
        super().__init__(text)
        self.may_pass = may_pass


class Pacs:
    """An open way to one service; a context manager."""

    def __init__(self, folder: Path, settings: PacsSettings) -> None:
        basic, token = credentials(folder, settings)
        self.settings = settings
        self._sockets: set[Any] = set()
        self._client = httpx.Client(
            auth=basic,
            headers={"Accept-Encoding": "identity", **({"Authorization": f"Bearer {token}"} if token else {})},
            verify=tls_context(folder, settings),
            proxy=_proxy(settings),
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(settings.answer_s, connect=min(CONNECT_S, settings.answer_s)),
        )

    def __enter__(self) -> Pacs:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._client.close()

    def rows(self, path: str, params: Params = (), most_bytes: int = LARGEST_JSON_BYTES) -> list[Mapping[str, Any]]:
        """The answer of a query or of metadata: a list of data sets in JSON. Raises SourceError."""

        def asked() -> list[Mapping[str, Any]]:
            with self._answer("GET", path, self.settings.answer_s, params=params, accept=JSON) as response:
                return [] if response.status_code == httpx.codes.NO_CONTENT else _json(response, most_bytes)

        return self.patiently(asked)

    @contextmanager
    def parts(self, path: str) -> Iterator[Iterator[Iterator[bytes]]]:
        """DICOM files, as they are stored, piece by piece. The block is tried once; see `patiently`."""
        with self._answer("GET", path, self.settings.series_s, accept=ANY_SYNTAX) as response:
            if response.status_code != httpx.codes.NOT_ACCEPTABLE:
                yield _parts(response)
                return
        with self._answer("GET", path, self.settings.series_s, accept=DEFAULT_SYNTAX) as response:
            yield _parts(response)

    def store(self, study: str, body: bytes, content_type: str) -> tuple[int, bytes]:
        """STOW: status and answer. Asked once: a repetition could find its own first try."""
        with self._answer(
            "POST", f"studies/{study}", self.settings.series_s, accept=JSON, content=body, kind=content_type
        ) as response:
            return response.status_code, b"".join(_bounded(response, LARGEST_JSON_BYTES))

    def patiently(self, work: Callable[[], T]) -> T:
        """Work that is tried again, after ever longer, where the service may be back in a while."""
        wait_s = FIRST_WAIT_S
        for left in range(self.settings.retries, -1, -1):
            try:
                return work()
            except UnreachableError as error:
                if not left or not error.may_pass:
                    raise
                time.sleep(min(wait_s, LONGEST_WAIT_S))
                wait_s *= 2
        raise AssertionError("unreachable")

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        longest_s: float,
        *,
        accept: str,
        params: Params = (),
        content: bytes | None = None,
        kind: str = "",
    ) -> Iterator[httpx.Response]:
        headers = {"Accept": accept, **({"Content-Type": kind} if kind else {})}
        url, late = self._address(path, params), [False]

        def stop() -> None:
            late[0] = True
            for one in tuple(self._sockets):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

        timer = Timer(longest_s, stop)
        timer.daemon = True
        timer.start()
        extensions = {"trace": self._heard}
        try:
            with self._client.stream(
                method, url, headers=headers, content=content, extensions=extensions
            ) as response:
                _check_status(response, method)
                yield response
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            raise self._unreachable(error, late[0], longest_s) from error
        except (SourceError, ValueError, AttributeError) as error:  # the latter of a TLS socket that was shut down
            if late[0]:
                raise self._unreachable(error, True, longest_s) from error
            raise
        finally:
            timer.cancel()

    def _address(self, path: str, params: Params) -> str:
        """Some services (Orthanc's plug-in 1.7) never decode what is escaped in a query, and find nothing: a sign
        that would be escaped is asked for as "*", which takes more, and whoever asks holds his filter against it.
        """
        asked = "&".join(f"{name}={_ESCAPED.sub('*', value)}" for name, value in params)
        return f"{self.settings.url.rstrip('/')}/{path}{'?' if asked else ''}{asked}"

    def _heard(self, event: str, info: Mapping[str, Any]) -> None:
        """Sockets, so that whatever drips in for ever ends in time, its headers too."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            found = info["return_value"].get_extra_info("socket")
            if found is not None:
                self._sockets.add(found)

    def _unreachable(self, error: Exception, late: bool, longest_s: float) -> UnreachableError:
        where = f"the PACS at {self.settings.url}"
        if late:
            return UnreachableError(f"{where} took longer than {longest_s:g} s for one answer", may_pass=True)
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return UnreachableError(
                f"{where} shows a certificate that is not trusted ({str(error)[:160]}): name the hospital's own "
                f"authority in {FILE}, authority = 'ca.pem'"
            )
        text = f"{where} cannot be reached ({type(error).__name__}: {str(error)[:120]})"
        return UnreachableError(text, may_pass=True)


def _check_status(response: httpx.Response, method: str) -> None:
    """Raises for what is no answer to go on with. Its text is not quoted: it is anybody's."""
    status, where = response.status_code, f"the PACS at {response.url.copy_with(query=None)}"
    if "content-encoding" in response.headers and response.headers["content-encoding"] not in ("identity", "gzip"):
        raise SourceError(f"{where} packs its answer in a way that was not asked for")
    if status in (401, 403):
        raise UnreachableError(f"{where} lets nobody in with what {FILE} says of user or token (HTTP {status})")
    if 300 <= status < 400:
        raise UnreachableError(
            f"{where} sends its callers to another address (HTTP {status}), which is never followed: write the "
            f"right one as url in {FILE}"
        )
    if status in MAY_PASS:
        raise UnreachableError(f"{where} is busy or out of order (HTTP {status})", may_pass=True)
    if method == "GET" and status not in (200, 204, 206, 406):
        raise SourceError(f"{where} answered with HTTP {status}")


def _bounded(response: httpx.Response, most_bytes: int) -> Iterator[bytes]:
    left = most_bytes
    for piece in _raw(response):
        left -= len(piece)
        if left < 0:
            raise SourceError(f"the PACS answered with more than {most_bytes} bytes to a question for a list")
        yield piece


def _raw(response: httpx.Response) -> Iterator[bytes]:
    """Unpacked where the service packs all the same (gzip), piece by piece, each of them bounded."""
    if response.headers.get("content-encoding") != "gzip":
        yield from response.iter_raw(PIECE_BYTES)
        return
    import zlib

    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    for piece in response.iter_raw(PIECE_BYTES):
        left = piece
        while left:
            try:
                yield unpacker.decompress(left, PIECE_BYTES)
            except zlib.error as error:
                raise SourceError("the PACS' answer is packed (gzip) and damaged") from error
            left = unpacker.unconsumed_tail
    yield unpacker.flush()


def _parts(response: httpx.Response) -> Iterator[Iterator[bytes]]:
    """Some services give a single image bare."""
    kind = response.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() == "application/dicom":
        return iter([_raw(response)])
    return iter(Parts(_raw(response), boundary_of(kind)))


def _json(response: httpx.Response, most_bytes: int) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(b"".join(_bounded(response, most_bytes)))
    except (ValueError, RecursionError) as error:
        raise SourceError("the PACS answered with what is no JSON") from error
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise SourceError("the PACS answered with JSON that is no list of data sets")
    return found


def _proxy(settings: PacsSettings) -> str | None:
    if settings.proxy != ENVIRONMENT:
        return settings.proxy or None
    return os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy") or None
