"""Checks of what Microsoft SEAL wrote, before SEAL reads it: nothing that arrives may unfold into much memory.

SEAL's form (4.x): a header of 16 bytes (magic, its size, version, compression, total size), then one Zstandard
frame (RFC 8878) that states the size of its content.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.errors import WireError

HEADER = struct.Struct("<HBBBBHQ")
SEAL_MAGIC, ZSTANDARD, UNCOMPRESSED = 0xA15E, 2, 0
_FRAME_MAGIC = b"\x28\xb5\x2f\xfd"
_LARGEST_BLOCK = 1 << 17
_BLOCKS_BESIDE = 8
_LENGTH_BYTES = 4


def join(blocks: Sequence[bytes]) -> NDArray[np.uint8]:
    """All blocks in one array: their lengths as 4 bytes each, then themselves."""
    lengths = np.array([len(block) for block in blocks], dtype="<u4").tobytes()
    return np.frombuffer(lengths + b"".join(blocks), dtype=np.uint8)


def split(data: NDArray[np.uint8] | None, count: int) -> list[bytes]:
    """`count` blocks. Raises WireError where the lengths do not fit the bytes."""
    raw = b"" if data is None else data.tobytes()
    if len(raw) < _LENGTH_BYTES * count:
        raise WireError(f"{count} ciphertexts were due; {len(raw)} bytes came.")
    lengths = np.frombuffer(raw, "<u4", count).astype(np.int64)
    ends = _LENGTH_BYTES * count + np.cumsum(lengths)
    if len(raw) != (int(ends[-1]) if count else 0):
        raise WireError("the ciphertexts' lengths do not fit the bytes that came.")
    return [raw[end - length : end] for length, end in zip(lengths.tolist(), ends.tolist(), strict=True)]


def content_bytes(block: bytes) -> int:
    """How much a block written by SEAL unfolds to. Raises WireError unless its form is SEAL's and its parts fit."""
    start = HEADER.size
    if len(block) < start + 6:
        raise WireError("a ciphertext is too short to be one.")
    magic, header_bytes, _, _, compression, _, total = HEADER.unpack_from(block)
    if (magic, header_bytes, compression, total) != (SEAL_MAGIC, start, ZSTANDARD, len(block)):
        raise WireError("a ciphertext does not begin as one.")
    content, first = _frame(block, start)
    if _blocks(block, first) > content // _LARGEST_BLOCK + _BLOCKS_BESIDE:
        raise WireError("a ciphertext would unfold into more than it says.")
    return content


def _frame(block: bytes, start: int) -> tuple[int, int]:
    """Size of the content, and where its blocks begin, of a frame that is one segment without a dictionary."""
    descriptor = block[start + 4]
    if block[start : start + 4] != _FRAME_MAGIC or descriptor & 0b0011_1111 != 0b0010_0000:
        raise WireError("a ciphertext is not compressed as SEAL does.")
    width = 1 << (descriptor >> 6)
    first = start + 5 + width
    return int.from_bytes(block[start + 5 : first], "little") + (256 if width == 2 else 0), first


def _blocks(block: bytes, position: int) -> int:
    """How many blocks a frame has; each unfolds to at most 128 KiB."""
    count = 0
    while True:
        head = int.from_bytes(block[position : position + 3], "little")
        last, kind, size = head & 1, head >> 1 & 3, head >> 3
        position += 3 + (1 if kind == 1 else size)
        count += 1
        if position > len(block) or kind == 3:
            raise WireError("a ciphertext is cut short.")
        if last:
            break
    if position != len(block):
        raise WireError("a ciphertext is longer than it says.")
    return count
