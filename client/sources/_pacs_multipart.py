"""An answer of many parts (RFC 2046, multipart/related), taken apart as it comes: never whole in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator

from common.errors import SourceError

LONGEST_HEAD_BYTES = 1 << 14
LONGEST_BOUNDARY = 70
_BOUNDARY = re.compile(r"""boundary=(?:"([^"]*)"|([^;\s]+))""", re.IGNORECASE)
_ALLOWED = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]*[0-9A-Za-z'()+_,\-./:=?]")


def boundary_of(content_type: str) -> bytes:
    """What stands between parts, by the header Content-Type. Raises SourceError where it says none that can be."""
    found = _BOUNDARY.search(content_type)
    word = (found[1] or found[2] or "") if found else ""
    if not content_type.lower().lstrip().startswith("multipart/related"):
        raise SourceError(f"the PACS answered with {content_type[:60]!r} where several DICOM parts were asked for")
    if not 0 < len(word) <= LONGEST_BOUNDARY or not _ALLOWED.fullmatch(word):
        raise SourceError("the PACS answered in parts and did not say what stands between them (boundary)")
    return word.encode()


class Parts:
    """The bodies of an answer's parts, one after the other; each must be read before the next."""

    def __init__(self, pieces: Iterator[bytes], boundary: bytes) -> None:
        self._pieces = pieces
        self._mark = b"\r\n--" + boundary
        self._held = bytearray(b"\r\n")

    def __iter__(self) -> Iterator[Iterator[bytes]]:
        self._skip_preamble()
        while not self._is_last():
            self._skip_head()
            body = self._body()
            yield body
            for _ in body:  # what was not read of it
                pass

    def _more(self) -> None:
        piece = next(self._pieces, None)
        if piece is None:
            raise SourceError("the PACS' answer ends in the middle of a part")
        self._held += piece

    def _skip_preamble(self) -> None:
        while self._mark not in self._held:
            if len(self._held) > LONGEST_HEAD_BYTES:
                raise SourceError("the PACS' answer has no part: what should stand between parts does not come")
            self._more()
        self._drop(self._held.index(self._mark) + len(self._mark))

    def _is_last(self) -> bool:
        while len(self._held) < 2:
            self._more()
        return self._held.startswith(b"--")

    def _skip_head(self) -> None:
        """The rest of the mark's line and the part's own headers, of which none is needed."""
        while b"\r\n\r\n" not in self._held:
            if len(self._held) > LONGEST_HEAD_BYTES:
                raise SourceError(f"a part of the PACS' answer has a head of more than {LONGEST_HEAD_BYTES} bytes")
            self._more()
        end = self._held.index(b"\r\n\r\n") + 4
        if end > LONGEST_HEAD_BYTES:
            raise SourceError(f"a part of the PACS' answer has a head of more than {LONGEST_HEAD_BYTES} bytes")
        self._drop(end)

    def _body(self) -> Iterator[bytes]:
        kept = len(self._mark) - 1
        while (at := self._held.find(self._mark)) < 0:
            if len(self._held) > kept:
                yield self._drop(len(self._held) - kept)
            self._more()
        yield self._drop(at)
        self._drop(len(self._mark))

    def _drop(self, count: int) -> bytes:
        dropped = bytes(self._held[:count])
        del self._held[:count]
        return dropped
