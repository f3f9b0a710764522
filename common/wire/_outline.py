"""How a serialised message is laid out, seen before it is parsed: all but the bytes of arrays must be little.

An array's bytes cost their own size. Anything else, such as a list of numbers of one byte each or names without a
letter, becomes Python objects of up to a hundred times its size, so that a message within every other limit could
take all memory. Tags and lengths alone are read here, by Protocol Buffers' own rules, and nothing is built.
"""

from __future__ import annotations

from common.errors import WireError

LARGEST_OUTLINE = 1 << 21
"""Bytes of a message beside those of its arrays."""
MOST_PARTS = 1 << 16
"""Fields of any kind, and bytes of lists of numbers, each of which may become an object."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Path = tuple[int, ...]
_ARRAYS, _METRICS, _CONFIG = (2, 1, 2), (2, 1, 3), (2, 1, 4)
_ARRAY_BYTES, _ARRAY_SHAPE = (*_ARRAYS, 1, 2, 4), (*_ARRAYS, 1, 2, 2)
_LISTS = tuple((*record, 1, 2, kind) for record in (_METRICS, _CONFIG) for kind in range(21, 27))
_MESSAGES = frozenset(
    [
        (2,),
        (2, 1),
        *_LISTS,
        *((*record, *inner) for record in (_ARRAYS, _METRICS, _CONFIG) for inner in ((), (1,), (1, 2))),
    ]
)
"""Fields from Message downwards that are messages themselves, and are entered."""
_PACKED = frozenset([_ARRAY_SHAPE, *((*path, 1) for path in _LISTS if path[-1] <= 24)])


def check_outline(data: bytes) -> None:
    """Raise WireError where `data` is cut short or no message of Flower's form, or is too long beside its arrays."""
    walk = _Walk(data)
    walk.descend(0, len(data), ())
    if len(data) - walk.array_bytes > LARGEST_OUTLINE:
        raise WireError(f"a message holds more than {LARGEST_OUTLINE} bytes beside its arrays.")


def check_record(data: bytes, kind: str) -> None:
    """As `check_outline`, for the body of one MetricRecord or ConfigRecord that travels by itself."""
    _Walk(data).descend(0, len(data), _METRICS if kind == "MetricRecord" else _CONFIG)


class _Walk:
    """array_bytes: of all arrays seen so far. parts: how many objects the rest may become."""

    def __init__(self, data: bytes) -> None:
        self._data, self.array_bytes, self.parts = data, 0, 0

    def descend(self, start: int, end: int, path: Path) -> None:
        """Through the fields between start and end of the message at `path`."""
        while start < end:
            tag, start = self._varint(start, end)
            kind, inner = tag & 7, (*path, tag >> 3)
            size, start = self._size(kind, start, end)
            if size > end - start:
                raise WireError("a message is cut short.")
            self._count(1 + (size if kind == _BYTES and inner in _PACKED else 0))
            if kind == _BYTES and inner in _MESSAGES:
                self.descend(start, start + size, inner)
            elif inner == _ARRAY_BYTES:
                self.array_bytes += size
            start += size

    def _count(self, parts: int) -> None:
        self.parts += parts
        if self.parts > MOST_PARTS:
            raise WireError(f"a message holds more than {MOST_PARTS} parts.")

    def _size(self, kind: int, start: int, end: int) -> tuple[int, int]:
        """Bytes of a field's content, and where it begins."""
        if kind == _BYTES:
            return self._varint(start, end)
        if kind == _VARINT:
            return self._varint(start, end)[1] - start, start
        if kind in (_FIXED64, _FIXED32):
            return 8 if kind == _FIXED64 else 4, start
        raise WireError("a message holds a field of no known kind.")

    def _varint(self, start: int, end: int) -> tuple[int, int]:
        """A number of at most 64 bits, and where it ends."""
        number = 0
        for place in range(10):
            if start + place >= end:
                break
            octet = self._data[start + place]
            number |= (octet & 0x7F) << 7 * place
            if octet < 0x80:
                return number, start + place + 1
        raise WireError("a message is cut short.")
