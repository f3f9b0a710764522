"""How a serialised message is laid out, seen before it is parsed: all but the bytes of arrays must be short.

An array's bytes cost their own size. Anything else, such as a list of numbers of one byte each or records without
content, becomes Python objects of up to a hundred times its size, so that a message within every limit could take
all memory. Lengths alone are read here, by Protocol Buffers' own rules, and nothing is built.
"""

from __future__ import annotations

from common.errors import WireError

LARGEST_OUTLINE = 1 << 23
"""Bytes of a message beside those of its arrays: 1024 lists of 1024 numbers, and all words, fit."""
MOST_FIELDS = 1 << 14
"""Of any kind on the way to the arrays."""
_PATH_TO_BYTES = (2, 1, 2, 1, 2, 4)
"""Fields from Message to an array's bytes: content, items, array_record, items, value, data."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def check_outline(data: bytes) -> None:
    """Raise WireError where `data` is cut short, nested or numbered as no message is, or too long beside its arrays."""
    walk = _Walk(data)
    walk.descend(0, len(data), _PATH_TO_BYTES)
    if len(data) - walk.array_bytes > LARGEST_OUTLINE:
        raise WireError(f"a message holds more than {LARGEST_OUTLINE} bytes beside its arrays.")


class _Walk:
    """array_bytes: of all arrays seen so far."""

    def __init__(self, data: bytes) -> None:
        self._data, self.array_bytes, self._fields = data, 0, 0

    def descend(self, start: int, end: int, path: tuple[int, ...]) -> None:
        """Through the fields between start and end; only those on the path are entered."""
        while start < end:
            self._fields += 1
            if self._fields > MOST_FIELDS:
                raise WireError(f"a message holds more than {MOST_FIELDS} fields.")
            tag, start = self._varint(start, end)
            field, size = tag >> 3, self._size(tag & 7, start, end)
            if tag & 7 == _BYTES:
                length, start = self._varint(start, end)
                size = length
            if size > end - start:
                raise WireError("a message is cut short.")
            if field == path[0] and tag & 7 == _BYTES:
                self._enter(start, start + size, path[1:])
            start += size

    def _enter(self, start: int, end: int, path: tuple[int, ...]) -> None:
        if path:
            self.descend(start, end, path)
        else:
            self.array_bytes += end - start

    def _size(self, kind: int, start: int, end: int) -> int:
        if kind == _VARINT:
            return self._varint(start, end)[1] - start
        if kind in (_FIXED64, _FIXED32):
            return 8 if kind == _FIXED64 else 4
        if kind == _BYTES:
            return 0
        raise WireError("a message holds a field of no known kind.")

    def _varint(self, start: int, end: int) -> tuple[int, int]:
        """A number, and where it ends."""
        number = 0
        for place in range(10):
            if start + place >= end:
                break
            octet = self._data[start + place]
            number |= (octet & 0x7F) << 7 * place
            if octet < 0x80:
                return number, start + place + 1
        raise WireError("a message is cut short.")
